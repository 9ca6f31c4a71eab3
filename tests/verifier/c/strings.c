/* Functions of the kernel for strings and streams of messages: what they take as text, as memory, as a number. */
#include "expect.h"

struct value {
	char text[16];
	long number;
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, struct value);
} values SEC(".maps");

extern int bpf_strcmp(const char *a, const char *b) __ksym;
extern int bpf_strcasecmp(const char *a, const char *b) __ksym;
extern int bpf_strchr(const char *s, char c) __ksym;
extern int bpf_strchrnul(const char *s, char c) __ksym;
extern int bpf_strnchr(const char *s, unsigned long count, char c) __ksym;
extern int bpf_strrchr(const char *s, int c) __ksym;
extern int bpf_strlen(const char *s) __ksym;
extern int bpf_strnlen(const char *s, unsigned long count) __ksym;
extern int bpf_strspn(const char *s, const char *accept) __ksym;
extern int bpf_strcspn(const char *s, const char *reject) __ksym;
extern int bpf_strstr(const char *a, const char *b) __ksym;
extern int bpf_strnstr(const char *a, const char *b, unsigned long count) __ksym;
extern int bpf_stream_vprintk_impl(int stream, const char *format, const void *args, unsigned int size, void *aux) __ksym;
extern void bpf_preempt_disable(void) __ksym;
extern void bpf_preempt_enable(void) __ksym;

const char constant[] = "constant";
char variable[] = "variable";

SEC("syscall")
ACCEPT int every_one(void *ctx)
{
	int sum = 0;

	sum += bpf_strcmp(constant, variable);
	sum += bpf_strcasecmp(constant, variable);
	sum += bpf_strchr(constant, 'n');
	sum += bpf_strchrnul(constant, 'n');
	sum += bpf_strnchr(constant, 4, 'n');
	sum += bpf_strrchr(constant, 'n');
	sum += bpf_strlen(constant);
	sum += bpf_strnlen(constant, 4);
	sum += bpf_strspn(constant, "cos");
	sum += bpf_strcspn(constant, "cos");
	sum += bpf_strstr(constant, "stan");
	sum += bpf_strnstr(constant, "stan", 7);
	return sum;
}

SEC("syscall")
ACCEPT int of_null(void *ctx)
{
	return bpf_strlen(0);
}

SEC("syscall")
ACCEPT int of_a_number(void *ctx)
{
	return bpf_strcmp((char *)0x1234567, (char *)~0ul);
}

SEC("tc")
ACCEPT int of_a_stack_not_written(struct __sk_buff *ctx)
{
	char text[8];

	return bpf_strlen(text) & 0;
}

SEC("tc")
ACCEPT int of_the_context(struct __sk_buff *ctx)
{
	return bpf_strlen((void *)ctx);
}

SEC("tc")
ACCEPT int of_a_packet(struct __sk_buff *ctx)
{
	return bpf_strlen((void *)(long)ctx->data);
}

SEC("tc")
ACCEPT int of_a_value_unchecked(struct __sk_buff *ctx)
{
	int key = 0;

	return bpf_strlen(bpf_map_lookup_elem(&values, &key));
}

SEC("tc")
ACCEPT int of_a_map(struct __sk_buff *ctx)
{
	return bpf_strlen((void *)&values);
}

SEC("tc")
ACCEPT int of_what_is_not_set(struct __sk_buff *ctx)
{
	int length;

	asm volatile("call bpf_strstr; %[l] = r0" : [l] "=r"(length) : : "r0", "r1", "r2", "r3", "r4", "r5");
	return length + bpf_strstr(constant, variable) ;
}

SEC("tc")
ACCEPT int character_from_pointer(struct __sk_buff *ctx)
{
	return bpf_strchr(constant, (long)ctx);
}

SEC("tc")
REJECT("R2 is not a scalar") int length_from_pointer(struct __sk_buff *ctx)
{
	return bpf_strnlen(constant, (long)ctx);
}

SEC("raw_tp/sys_enter")
ACCEPT int in_raw_tracepoint(void *ctx)
{
	return bpf_strlen(constant);
}

SEC("kprobe/do_nanosleep")
ACCEPT int in_probe(void *ctx)
{
	return bpf_strlen(constant);
}

SEC("xdp")
REJECT("value -2147483648 makes map_value pointer be out of bounds") int result_is_not_bounded(void *ctx)
{
	int key = 0, at;
	struct value *v = bpf_map_lookup_elem(&values, &key);

	if (!v)
		return 0;
	at = bpf_strnlen(v->text, 16);
	return v->text[at] ? 1 : 2;
}

SEC("xdp")
ACCEPT int result_with_bounds(void *ctx)
{
	int key = 0, at;
	struct value *v = bpf_map_lookup_elem(&values, &key);

	if (!v)
		return 0;
	at = bpf_strnlen(v->text, 16);
	if (at < 0 || at >= 16)
		return 0;
	return v->text[at] ? 1 : 2;
}

SEC("syscall")
ACCEPT int message(void *ctx)
{
	unsigned long args[] = {1, 2};

	return bpf_stream_vprintk_impl(1, "%d of %d\n", args, sizeof(args), 0);
}

SEC("syscall")
REJECT("Possibly NULL pointer passed to trusted arg2") int message_without_arguments(void *ctx)
{
	return bpf_stream_vprintk_impl(1, "nothing\n", 0, 0, 0);
}

SEC("syscall")
REJECT("R2 does not point to a readonly map'") int message_from_variable_text(void *ctx)
{
	unsigned long args[] = {1, 2};

	return bpf_stream_vprintk_impl(1, variable, args, sizeof(args), 0);
}

SEC("syscall")
REJECT("arg#1 doesn't point to a const string") int message_from_stack_text(void *ctx)
{
	unsigned long args[] = {1, 2};
	char text[8] = "text";

	return bpf_stream_vprintk_impl(1, text, args, sizeof(args), 0);
}

SEC("syscall")
REJECT("arg#1 doesn't point to a const string") int message_from_context(void *ctx)
{
	unsigned long args[] = {1, 2};

	return bpf_stream_vprintk_impl(1, ctx, args, sizeof(args), 0);
}

SEC("syscall")
REJECT("arg#2 arg#3 memory, len pair leads to invalid memory access") int message_with_number_as_arguments(void *ctx)
{
	return bpf_stream_vprintk_impl(1, "%d\n", (void *)0x46, 8, 0);
}

SEC("syscall")
REJECT("arg#2 arg#3 memory, len pair leads to invalid memory access") int message_with_number_as_no_arguments(void *ctx)
{
	return bpf_stream_vprintk_impl(1, "%d\n", (void *)0x46, 0, 0);
}

SEC("syscall")
REJECT("Possibly NULL pointer passed to trusted arg2") int message_with_null_arguments(void *ctx)
{
	return bpf_stream_vprintk_impl(1, "%d\n", 0, 8, 0);
}

SEC("syscall")
ACCEPT int message_with_arguments_not_set(void *ctx)
{
	unsigned long args[3];

	args[0] = 1;
	return bpf_stream_vprintk_impl(1, "%d\n", args, 24, 0);
}

SEC("syscall")
REJECT("arg#2 arg#3 memory, len pair leads to invalid memory access") int message_with_arguments_beyond(void *ctx)
{
	int key = 0;
	struct value *v = bpf_map_lookup_elem(&values, &key);

	if (!v)
		return 0;
	return bpf_stream_vprintk_impl(1, "%d\n", v, 32, 0);
}

SEC("syscall")
REJECT("arg#2 arg#3 memory, len pair leads to invalid memory access") int message_of_size_unknown(void *ctx)
{
	int key = 0;
	struct value *v = bpf_map_lookup_elem(&values, &key);

	if (!v)
		return 0;
	return bpf_stream_vprintk_impl(1, "%d\n", v, bpf_get_prandom_u32() & 31, 0);
}

SEC("syscall")
REJECT("arg#2 arg#3 memory, len pair leads to invalid memory access") int message_of_size_negative(void *ctx)
{
	int key = 0;
	struct value *v = bpf_map_lookup_elem(&values, &key);

	if (!v)
		return 0;
	return bpf_stream_vprintk_impl(1, "%d\n", v, v->number, 0);
}

SEC("syscall")
REJECT("R1 is not a scalar") int message_stream_from_pointer(void *ctx)
{
	return bpf_stream_vprintk_impl((long)ctx, "\n", 0, 0, 0);
}

SEC("syscall")
REJECT("Possibly NULL pointer passed to trusted arg2") int message_with_aux(void *ctx)
{
	return bpf_stream_vprintk_impl(1, "\n", 0, 0, ctx);
}

SEC("tc")
ACCEPT int message_without_preemption(void *ctx)
{
	unsigned long args[] = {1, 2};
	int result;

	bpf_preempt_disable();
	result = bpf_stream_vprintk_impl(2, "%s\n", args, sizeof(args), 0);
	bpf_preempt_enable();
	return result;
}

SEC("tc")
REJECT("Possibly NULL pointer passed to trusted arg2") int message_whole_format_is_not_looked_at(void *ctx)
{
	return bpf_stream_vprintk_impl(7, "%y %", 0, 0, 0);
}
