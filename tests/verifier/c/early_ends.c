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

/* Where the load is outside of the packet, r0 is 0 and nothing behind it happened. */
STATIC int s_says(struct __sk_buff *s)
{
	g = load_byte(s, 0);
	return 1;
}

SEC("socket")
REJECT("R9 !read_ok") int l14(struct __sk_buff *s)
{
	asm volatile("r1 = %[s]; call %[callee]; if r0 != 0 goto +1; r0 = r9" ::[s] "r"(s), [callee] "i"(s_says)
		     : "r0", "r1", "r2", "r3", "r4", "r5", "r9");
	return 0;
}

SEC("socket")
ACCEPT int l15(struct __sk_buff *s)
{
	asm volatile("r1 = %[s]; call %[callee]; if r0 != 0 goto +1; r0 = 2" ::[s] "r"(s), [callee] "i"(s_says)
		     : "r0", "r1", "r2", "r3", "r4", "r5", "r9");
	return 0;
}
