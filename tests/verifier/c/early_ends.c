/* Packet loads and tail calls in functions: both may end the program there. */
#include "expect.h"
unsigned long long load_byte(void *skb, unsigned long long off) asm("llvm.bpf.load.byte");
unsigned long long load_word(void *skb, unsigned long long off) asm("llvm.bpf.load.word");
#define NI __attribute__((noinline, weak))
#define STATIC static __attribute__((noinline))

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, int);
} progs SEC(".maps");

int g;

STATIC int s_int(struct __sk_buff *s)
{
	return load_byte(s, 0) + g;
}

STATIC long s_long(struct __sk_buff *s)
{
	return load_byte(s, 0) + g;
}

STATIC void s_void(struct __sk_buff *s)
{
	g = load_byte(s, 0);
}

STATIC unsigned s_unsigned(struct __sk_buff *s)
{
	return load_byte(s, 0) + g;
}

STATIC char s_char(struct __sk_buff *s)
{
	return load_byte(s, 0) + g;
}

NI int g_int(struct __sk_buff *s)
{
	return load_byte(s, 0) + g;
}

NI long g_long(struct __sk_buff *s)
{
	return load_byte(s, 0) + g;
}

typedef int myint;

STATIC myint s_myint(struct __sk_buff *s)
{
	return load_byte(s, 0) + g;
}

STATIC int s_tail(struct __sk_buff *s)
{
	bpf_tail_call(s, &progs, 0);
	return g;
}

STATIC void s_tailv(struct __sk_buff *s)
{
	bpf_tail_call(s, &progs, 0);
	g = 1;
}

STATIC long s_taill(struct __sk_buff *s)
{
	bpf_tail_call(s, &progs, 0);
	return g;
}

STATIC int cb(int i, struct __sk_buff *s)
{
	load_byte(s, 0);
	return 0;
}
SEC("tc")
ACCEPT int l0(struct __sk_buff *s)
{
	return load_byte(s, 0) + load_word(s, 4);
}

SEC("tc")
ACCEPT long l0l(struct __sk_buff *s)
{
	return load_byte(s, 0) + load_word(s, 4);
}

SEC("tc")
ACCEPT int l1(struct __sk_buff *s)
{
	return s_int(s);
}

SEC("tc")
ACCEPT int l2(struct __sk_buff *s)
{
	return s_long(s);
}

SEC("tc")
REJECT("LD_ABS is only allowed in functions that return 'int'.")
int l3(struct __sk_buff *s)
{
	s_void(s);
	return 0;
}

SEC("tc")
ACCEPT int l4(struct __sk_buff *s)
{
	return s_unsigned(s);
}

SEC("tc")
ACCEPT int l4c(struct __sk_buff *s)
{
	return s_char(s);
}

SEC("tc")
ACCEPT int l5(struct __sk_buff *s)
{
	return g_int(s);
}

SEC("tc")
ACCEPT int l6(struct __sk_buff *s)
{
	return g_long(s);
}

SEC("tc")
ACCEPT int l7(struct __sk_buff *s)
{
	return s_myint(s);
}

SEC("tc")
ACCEPT int l8(struct __sk_buff *s)
{
	return s_tail(s);
}

SEC("tc")
REJECT("tail_call is only allowed in functions that return 'int'.")
int l8v(struct __sk_buff *s)
{
	s_tailv(s);
	return 0;
}

SEC("tc")
ACCEPT int l8l(struct __sk_buff *s)
{
	return s_taill(s);
}

SEC("xdp")
REJECT("BPF_LD_[ABS|IND] instructions not allowed for this program type")
int l9(void *s)
{
	return load_byte(s, 0);
}

SEC("cgroup_skb/ingress")
REJECT("BPF_LD_[ABS|IND] instructions not allowed for this program type")
int l10(void *s)
{
	return load_byte(s, 0) & 1;
}

SEC("socket")
ACCEPT int l11(struct __sk_buff *s)
{
	return s_int(s);
}

SEC("tc")
REJECT("R3 type=ctx expected=fp")
int l12(struct __sk_buff *s)
{
	bpf_loop(3, cb, s, 0);
	return 0;
}

SEC("tc")
ACCEPT int l13(struct __sk_buff *s)
{
	int x;
	s_int(s);
	load_byte(s, g);
	return g;
}

STATIC int s_jump(struct __sk_buff *s)
{
	bpf_tail_call(s, &progs, 0);
	return g;
}

/* The program jumped to may have moved the packet. */
SEC("tc")
REJECT("R6 invalid mem access 'scalar'")
int packet_after_jump_in_function(struct __sk_buff *s)
{
	volatile char *data = (void *)(long)s->data;

	if (data + 4 > (char *)(long)s->data_end)
		return 0;
	return s_jump(s) + data[3];
}

SEC("tc")
ACCEPT int packet_after_jump_that_failed(struct __sk_buff *s)
{
	volatile char *data = (void *)(long)s->data;

	if (data + 4 > (char *)(long)s->data_end)
		return 0;
	bpf_tail_call(s, &progs, 0);
	return data[3];
}

STATIC int s_jump_or_stay_low(struct __sk_buff *s)
{
	bpf_tail_call(s, &progs, 0);
	return bpf_get_prandom_u32() & 3;
}

char eight[8];

/* What the program jumped to returns is the function's result. */
SEC("tc")
REJECT("R2 unbounded memory access, make sure to bounds check any such access")
int result_of_jump_as_index(struct __sk_buff *s)
{
	unsigned int index = s_jump_or_stay_low(s);

	return *(volatile char *)(eight + index);
}

STATIC int s_one(struct __sk_buff *s)
{
	unsigned long one;

	g = load_byte(s, 4);
	asm volatile("%0 = 1" : "=r"(one));
	return one;
}

/* Where the load misses, the function returns 0. */
SEC("tc")
REJECT("R2 min value is outside of the allowed memory range")
int result_where_a_load_misses(struct __sk_buff *s)
{
	return *(volatile char *)(eight + 8 - s_one(s));
}

struct loaded {
	struct __sk_buff *s;
	int sum;
};

static int loads(unsigned int round, struct loaded *of)
{
	of->sum += load_byte(of->s, 4);
	return 0;
}

/* Linux loses its way looking for what such a callback returns where the load misses. */
SEC("tc")
REJECT("verifier bug: callback unexpected regs 1")
int load_in_callback(struct __sk_buff *s)
{
	struct loaded of = {s};

	bpf_loop(4, loads, &of, 0);
	return of.sum;
}

static int jumps(unsigned int round, struct loaded *of)
{
	bpf_tail_call(of->s, &progs, 0);
	return 0;
}

SEC("tc")
REJECT("verifier bug: callback unexpected regs 1")
int jump_in_callback(struct __sk_buff *s)
{
	struct loaded of = {s};

	bpf_loop(4, jumps, &of, 0);
	return of.sum;
}

static int loads_behind_number(unsigned int round, struct loaded *of)
{
	asm volatile("r0 = 1" ::: "r0");
	of->sum += load_byte(of->s, 4);
	return 0;
}

SEC("tc")
REJECT("verifier bug: subprog exit from frame 0")
int load_in_callback_behind_number(struct __sk_buff *s)
{
	struct loaded of = {s};

	bpf_loop(4, loads_behind_number, &of, 0);
	return of.sum;
}

static int jumps_behind_call(unsigned int round, struct loaded *of)
{
	of->sum = bpf_get_prandom_u32();
	bpf_tail_call(of->s, &progs, 0);
	return 0;
}

SEC("tc")
REJECT("At callback return the register R0 has unknown scalar value should have been in [0, 1]")
int jump_in_callback_behind_call(struct __sk_buff *s)
{
	struct loaded of = {s};

	bpf_loop(4, jumps_behind_call, &of, 0);
	return of.sum;
}

static int loads_in_function(unsigned int round, struct loaded *of)
{
	of->sum += s_int(of->s);
	return 0;
}

SEC("tc")
ACCEPT int load_in_function_in_callback(struct __sk_buff *s)
{
	struct loaded of = {s};

	bpf_loop(4, loads_in_function, &of, 0);
	return of.sum;
}

__attribute__((used)) STATIC int s_jump_or_overwrite(struct __sk_buff *s, long *to)
{
	bpf_tail_call(s, &progs, 0);
	*to = -16;
	return 0;
}

/* Where the jump succeeds nothing is overwritten, but Linux 6.18 does not count that as a way through the function: it
 * takes for overwritten what is only overwritten behind a jump that fails, and does not look at what else was there.
 */
SEC("tc")
ACCEPT int overwritten_behind_a_jump(struct __sk_buff *s)
{
	asm volatile("r6 = %[s];"
		     "r1 = -8;"
		     "*(u64 *)(r10 - 8) = r1;"
		     "call %[random];"
		     "if r0 != 42 goto 1f;"
		     "goto 2f;"
		     "1: r1 = -1024;"
		     "*(u64 *)(r10 - 8) = r1;"
		     "2: r1 = r6;"
		     "r2 = r10;"
		     "r2 += -8;"
		     "call s_jump_or_overwrite;"
		     "r1 = *(u64 *)(r10 - 8);"
		     "r2 = r10;"
		     "r2 += r1;"
		     "r0 = *(u64 *)(r2 + 0)"
		     :
		     : [s] "r"(s), [random] "i"(bpf_get_prandom_u32)
		     : "r0", "r1", "r2", "r3", "r4", "r5", "r6", "memory");
	return 0;
}
