/* Casts to memory that may not be there: it may be read wherever it is, and nothing else. */
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

extern void *bpf_rdonly_cast(const void *obj, unsigned int btf_id) __ksym;
extern int bpf_strlen(const char *s) __ksym;

SEC("tc")
ACCEPT int cast_to_void(struct __sk_buff *ctx)
{
	char *p = bpf_rdonly_cast(0, 0);

	return p[0x7fff] & 0;
}

SEC("tc")
ACCEPT int cast_to_void_negative(struct __sk_buff *ctx)
{
	long *p = bpf_rdonly_cast((void *)(long)ctx->mark, 0);

	return p[-100] & 0;
}

SEC("tc")
ACCEPT int cast_to_void_variable(struct __sk_buff *ctx)
{
	char *p = bpf_rdonly_cast(ctx, 0);

	return *(long *)(p + ctx->mark) & 0;
}

SEC("tc")
ACCEPT int cast_to_void_in_loop(struct __sk_buff *ctx)
{
	int *p = bpf_rdonly_cast(0, 0), sum = 0, i;

	for (i = 0; i < 10; i++, p += ctx->mark)
		sum += *p;
	return sum & 0;
}

SEC("tc")
REJECT("R0 cannot write into rdonly_untrusted_mem") int cast_and_written(struct __sk_buff *ctx)
{
	int *p = bpf_rdonly_cast(ctx, 0);

	*p = 1;
	return 0;
}

SEC("tc")
REJECT("R0 cannot write into rdonly_untrusted_mem") int cast_and_added(struct __sk_buff *ctx)
{
	int *p = bpf_rdonly_cast(ctx, 0);

	__sync_fetch_and_add(p, 1);
	return 0;
}

SEC("tc")
REJECT("R1 cannot write into rdonly_untrusted_mem") int cast_and_exchanged(struct __sk_buff *ctx)
{
	long *p = bpf_rdonly_cast(ctx, 0);

	return __sync_val_compare_and_swap(p, 0, 42) & 0;
}

SEC("tc")
REJECT("R1 type=rdonly_untrusted_mem expected=fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_") int cast_and_printed(struct __sk_buff *ctx)
{
	char *p = bpf_rdonly_cast(ctx, 0);

	bpf_trace_printk(p, 4);
	return 0;
}

SEC("tc")
REJECT("R2 type=rdonly_untrusted_mem expected=fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_") int cast_and_used_as_key(struct __sk_buff *ctx)
{
	bpf_map_lookup_elem(&values, bpf_rdonly_cast(ctx, 0));
	return 0;
}

SEC("tc")
REJECT("R3 type=rdonly_untrusted_mem expected=fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_") int cast_and_copied_none(struct __sk_buff *ctx)
{
	bpf_skb_load_bytes(ctx, 0, bpf_rdonly_cast(ctx, 0), 0);
	return 0;
}

SEC("tc")
ACCEPT int cast_and_read_by_probe(struct __sk_buff *ctx)
{
	long to;

	bpf_probe_read_kernel(&to, 8, bpf_rdonly_cast(ctx, 0));
	return to & 0;
}

SEC("tc")
ACCEPT int cast_and_compared_as_string(struct __sk_buff *ctx)
{
	return bpf_strlen(bpf_rdonly_cast(ctx, 0)) & 0;
}

SEC("tc")
ACCEPT int cast_and_cast_again(struct __sk_buff *ctx)
{
	char *p = bpf_rdonly_cast(bpf_rdonly_cast(ctx, 0) + 5, 0);

	return *p & 0;
}

SEC("tc")
REJECT("R1 offset is outside of the packet") int cast_and_compared_with_null(struct __sk_buff *ctx)
{
	char *p = bpf_rdonly_cast(ctx, 0);

	if (!p)
		return *(int *)(long)ctx->data;
	return 0;
}

SEC("tc")
REJECT("kfunc bpf_rdonly_cast type ID argument must be of a struct or void") int cast_to_number_type(struct __sk_buff *ctx)
{
	char *p = bpf_rdonly_cast(ctx, 1);

	return *p;
}

SEC("tc")
REJECT("Unknown type ID 134217727 passed to kfunc bpf_rdonly_cast") int cast_to_no_type(struct __sk_buff *ctx)
{
	char *p = bpf_rdonly_cast(ctx, 0x7ffffff);

	return *p;
}

SEC("tc")
REJECT("R2 must be a known constant") int cast_to_type_unknown(struct __sk_buff *ctx)
{
	char *p = bpf_rdonly_cast(ctx, ctx->mark);

	return *p;
}

static __attribute__((noinline)) void *one_or_other(int which)
{
	if (which)
		return bpf_rdonly_cast(0, 0);
	return bpf_rdonly_cast(0, __builtin_btf_type_id(*(struct sk_buff *)0, 1));
}

SEC("tc")
ACCEPT int cast_to_one_or_other(struct __sk_buff *ctx)
{
	long *p = one_or_other(ctx->mark);

	return *p & 0;
}

SEC("tc")
ACCEPT int cast_returned(struct __sk_buff *ctx)
{
	return (long)bpf_rdonly_cast(ctx, 0);
}

SEC("tc")
ACCEPT int cast_stored(struct __sk_buff *ctx)
{
	int key = 0;
	struct value *v = bpf_map_lookup_elem(&values, &key);

	if (v)
		v->number = (long)bpf_rdonly_cast(ctx, 0);
	return 0;
}

SEC("tc")
REJECT("R0 32-bit pointer arithmetic prohibited") int cast_misaligned_and_shifted(struct __sk_buff *ctx)
{
	long p = (long)bpf_rdonly_cast(ctx, 0);

	return p << 3;
}

SEC("tc")
REJECT("R1 invalid mem access 'scalar'") int cast_added_to_number(struct __sk_buff *ctx)
{
	void *p = bpf_rdonly_cast(ctx, 0);
	int got;

	asm volatile("r1 = 7; r1 += %[p]; %[got] = *(u8 *)(r1 + 1)" : [got] "=r"(got) : [p] "r"(p) : "r1");
	return got & 0;
}

SEC("tc")
ACCEPT int cast_difference(struct __sk_buff *ctx)
{
	void *p = bpf_rdonly_cast(ctx, 0);
	void *q = bpf_rdonly_cast(ctx, 0);

	return q - p;
}
