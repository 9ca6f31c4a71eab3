/* Chains of calls: stack, frames, tail calls, private stacks. */
#include "expect.h"
#define NI __attribute__((noinline, weak))
#define STATIC static __attribute__((noinline))
int g;

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, int);
} progs SEC(".maps");

#define USE(n)                                 \
	char b[n];                             \
	asm volatile("" ::"r"(&b) : "memory"); \
	asm volatile("*(u8*)(r10 - " #n ") = 1" ::: "memory")

STATIC int s496(int x)
{
	USE(496);
	return g;
}

STATIC int s256(int x)
{
	USE(256);
	return g;
}

STATIC int s240(int x)
{
	USE(240);
	return g;
}

STATIC int s64(int x)
{
	USE(64);
	return g;
}

STATIC int s32(int x)
{
	USE(32);
	return g;
}

STATIC int s496_496(int x)
{
	USE(496);
	return s496(x) + g;
}

STATIC int s32x496(int x)
{
	USE(32);
	return s496(x) + g;
}

STATIC int s48x496(int x)
{
	USE(48);
	return s496(x) + g;
}

NI int g496(int x)
{
	USE(496);
	return g;
}

NI int g256(int x)
{
	USE(256);
	return g;
}

NI int rec(int x);

NI int rec2(int x)
{
	return rec(x);
}

NI int rec(int x)
{
	return x ? rec2(x) : 0;
}

STATIC int tail(void *c)
{
	bpf_tail_call(c, &progs, 0);
	return g;
}

NI int gtail(struct __sk_buff *c)
{
	bpf_tail_call(c, &progs, 0);
	return g;
}

STATIC int pretail(void *c)
{
	USE(128);
	return tail(c) + 1;
}

STATIC int lcb(int i, void *c)
{
	USE(256);
	return 0;
}

STATIC int lcb2(int i, void *c)
{
	USE(240);
	return 0;
}

NI int d7(int x)
{
	return g;
}

NI int d6(int x)
{
	return d7(x) + 1;
}

NI int d5(int x)
{
	return d6(x) + 1;
}

NI int d4(int x)
{
	return d5(x) + 1;
}

NI int d3(int x)
{
	return d4(x) + 1;
}

NI int d2(int x)
{
	return d3(x) + 1;
}

NI int d1(int x)
{
	return d2(x) + 1;
}

NI int d0(int x)
{
	return d1(x) + 1;
}

STATIC int e7(int x)
{
	return g;
}

STATIC int e6(int x)
{
	return e7(x) + 1;
}

STATIC int e5(int x)
{
	return e6(x) + 1;
}

STATIC int e4(int x)
{
	return e5(x) + 1;
}

STATIC int e3(int x)
{
	return e4(x) + 1;
}

STATIC int e2(int x)
{
	return e3(x) + 1;
}

STATIC int e1(int x)
{
	return e2(x) + 1;
}

STATIC int e0(int x)
{
	return e1(x) + 1;
}
SEC("tc")
ACCEPT int m1(struct __sk_buff *c)
{
	USE(16);
	return s496(1);
}

SEC("tc")
REJECT("combined stack size of 2 calls is 528. Too large")
int m2(struct __sk_buff *c)
{
	USE(24);
	return s496(1);
}

SEC("tc")
REJECT("combined stack size of 2 calls is 528. Too large")
int m3(struct __sk_buff *c)
{
	USE(496);
	return s32(1);
}

SEC("tc")
REJECT("combined stack size of 2 calls is 752. Too large")
int m4(struct __sk_buff *c)
{
	USE(496);
	return g256(1);
}

SEC("tc")
REJECT("the call stack of 8 frames is too deep !")
int m5(struct __sk_buff *c)
{
	return rec(1);
}

SEC("tc")
ACCEPT int m6(struct __sk_buff *c)
{
	USE(240);
	return tail(c);
}

SEC("tc")
REJECT("tail_calls are not allowed when call stack of previous frames is 256 bytes. Too large")
int m6b(struct __sk_buff *c)
{
	USE(256);
	return tail(c);
}

SEC("tc")
REJECT("tail_calls are not allowed when call stack of previous frames is 256 bytes. Too large")
int m6g(struct __sk_buff *c)
{
	USE(256);
	return gtail(c);
}

SEC("tc")
REJECT("tail_calls are not allowed when call stack of previous frames is 256 bytes. Too large")
int m6p(struct __sk_buff *c)
{
	USE(128);
	return pretail(c);
}

SEC("tc")
ACCEPT int m6q(struct __sk_buff *c)
{
	USE(112);
	return pretail(c);
}

SEC("tc")
ACCEPT int m6t(struct __sk_buff *c)
{
	USE(496);
	bpf_tail_call(c, &progs, 0);
	return 0;
}

SEC("tc")
ACCEPT int m7(struct __sk_buff *c)
{
	USE(256);
	bpf_loop(3, lcb, 0, 0);
	return 0;
}

SEC("tc")
REJECT("combined stack size of 2 calls is 528. Too large")
int m7b(struct __sk_buff *c)
{
	USE(272);
	bpf_loop(3, lcb, 0, 0);
	return 0;
}

SEC("tc")
ACCEPT int m7c(struct __sk_buff *c)
{
	USE(272);
	bpf_loop(3, lcb2, 0, 0);
	return 0;
}

SEC("tc")
ACCEPT int m8(struct __sk_buff *c)
{
	return d1(1);
}

SEC("tc")
REJECT("the call stack of 8 frames is too deep !")
int m9(struct __sk_buff *c)
{
	return d0(1);
}

SEC("tc")
ACCEPT int m10(struct __sk_buff *c)
{
	return e1(1);
}

SEC("tc")
REJECT("the call stack of 9 frames is too deep")
int m11(struct __sk_buff *c)
{
	return e0(1);
}

SEC("kprobe/x")
ACCEPT int k1(void *c)
{
	USE(32);
	return s496(1) & 0;
}

SEC("kprobe/x")
ACCEPT int k2(void *c)
{
	USE(496);
	return s496(1) & 0;
}

SEC("kprobe/x")
ACCEPT int k3(void *c)
{
	USE(496);
	return s496_496(1) & 0;
}

SEC("kprobe/x")
ACCEPT int k4(void *c)
{
	USE(496);
	return s32(1) & 0;
}

SEC("kprobe/x")
ACCEPT int k5(void *c)
{
	USE(496);
	return s64(1) & 0;
}

SEC("kprobe/x")
ACCEPT int k6(void *c)
{
	USE(48);
	return s32x496(1) & 0;
}

SEC("kprobe/x")
ACCEPT int k7(void *c)
{
	USE(64);
	return s48x496(1) & 0;
}

SEC("kprobe/x")
ACCEPT int k8(void *c)
{
	USE(496);
	return g496(1) & 0;
}

SEC("kprobe/x")
ACCEPT int k9(void *c)
{
	USE(496);
	bpf_loop(3, lcb, 0, 0);
	return 0;
}

SEC("kprobe/x")
REJECT("combined stack size of 2 calls is 992. Too large")
int k10(void *c)
{
	USE(496);
	bpf_tail_call(c, &progs, 0);
	return s496(1) & 0;
}

SEC("kprobe/x")
REJECT("tail_calls are not allowed when call stack of previous frames is 496 bytes. Too large")
int k11(void *c)
{
	USE(496);
	return tail(c) & 0;
}

SEC("tp_btf/sched_switch")
ACCEPT int b1(void *c)
{
	USE(32);
	return s496(1) & 0;
}

SEC("tp_btf/sched_switch")
ACCEPT int b2(void *c)
{
	USE(496);
	return s496(1) & 0;
}

SEC("tp_btf/sched_switch")
ACCEPT int b3(void *c)
{
	USE(496);
	return s496_496(1) & 0;
}

SEC("tp_btf/sched_switch")
ACCEPT int b4(void *c)
{
	USE(496);
	return s32(1) & 0;
}

SEC("tp_btf/sched_switch")
ACCEPT int b5(void *c)
{
	USE(496);
	return s64(1) & 0;
}

SEC("tp_btf/sched_switch")
ACCEPT int b6(void *c)
{
	USE(48);
	return s32x496(1) & 0;
}

SEC("tp_btf/sched_switch")
ACCEPT int b7(void *c)
{
	USE(64);
	return s48x496(1) & 0;
}

SEC("tp_btf/sched_switch")
ACCEPT int b8(void *c)
{
	USE(496);
	return g496(1) & 0;
}

SEC("tp_btf/sched_switch")
ACCEPT int b9(void *c)
{
	USE(496);
	bpf_loop(3, lcb, 0, 0);
	return 0;
}

SEC("tp_btf/sched_switch")
REJECT("combined stack size of 2 calls is 992. Too large")
int b10(void *c)
{
	USE(496);
	bpf_tail_call(c, &progs, 0);
	return s496(1) & 0;
}

SEC("tp_btf/sched_switch")
REJECT("tail_calls are not allowed when call stack of previous frames is 496 bytes. Too large")
int b11(void *c)
{
	USE(496);
	return tail(c) & 0;
}

SEC("iter/task")
REJECT("combined stack size of 2 calls is 528. Too large")
int i1(void *c)
{
	USE(32);
	return s496(1) & 0;
}

SEC("iter/task")
REJECT("combined stack size of 2 calls is 992. Too large")
int i2(void *c)
{
	USE(496);
	return s496(1) & 0;
}

SEC("iter/task")
REJECT("combined stack size of 2 calls is 992. Too large")
int i3(void *c)
{
	USE(496);
	return s496_496(1) & 0;
}

SEC("iter/task")
REJECT("combined stack size of 2 calls is 528. Too large")
int i4(void *c)
{
	USE(496);
	return s32(1) & 0;
}

SEC("iter/task")
REJECT("combined stack size of 2 calls is 560. Too large")
int i5(void *c)
{
	USE(496);
	return s64(1) & 0;
}

SEC("iter/task")
REJECT("combined stack size of 3 calls is 576. Too large")
int i6(void *c)
{
	USE(48);
	return s32x496(1) & 0;
}

SEC("iter/task")
REJECT("combined stack size of 3 calls is 608. Too large")
int i7(void *c)
{
	USE(64);
	return s48x496(1) & 0;
}

SEC("iter/task")
REJECT("combined stack size of 2 calls is 992. Too large")
int i8(void *c)
{
	USE(496);
	return g496(1) & 0;
}

SEC("iter/task")
REJECT("combined stack size of 2 calls is 752. Too large")
int i9(void *c)
{
	USE(496);
	bpf_loop(3, lcb, 0, 0);
	return 0;
}

SEC("iter/task")
REJECT("combined stack size of 2 calls is 992. Too large")
int i10(void *c)
{
	USE(496);
	bpf_tail_call(c, &progs, 0);
	return s496(1) & 0;
}

SEC("iter/task")
REJECT("tail_calls are not allowed when call stack of previous frames is 496 bytes. Too large")
int i11(void *c)
{
	USE(496);
	return tail(c) & 0;
}

SEC("raw_tp.w")
REJECT("combined stack size of 2 calls is 528. Too large")
int w1(void *c)
{
	USE(32);
	return s496(1) & 0;
}

SEC("raw_tp.w")
REJECT("combined stack size of 2 calls is 992. Too large")
int w2(void *c)
{
	USE(496);
	return s496(1) & 0;
}

SEC("raw_tp.w")
REJECT("combined stack size of 2 calls is 992. Too large")
int w3(void *c)
{
	USE(496);
	return s496_496(1) & 0;
}

SEC("raw_tp.w")
REJECT("combined stack size of 2 calls is 528. Too large")
int w4(void *c)
{
	USE(496);
	return s32(1) & 0;
}

SEC("raw_tp.w")
REJECT("combined stack size of 2 calls is 560. Too large")
int w5(void *c)
{
	USE(496);
	return s64(1) & 0;
}

SEC("raw_tp.w")
REJECT("combined stack size of 3 calls is 576. Too large")
int w6(void *c)
{
	USE(48);
	return s32x496(1) & 0;
}

SEC("raw_tp.w")
REJECT("combined stack size of 3 calls is 608. Too large")
int w7(void *c)
{
	USE(64);
	return s48x496(1) & 0;
}

SEC("raw_tp.w")
REJECT("combined stack size of 2 calls is 992. Too large")
int w8(void *c)
{
	USE(496);
	return g496(1) & 0;
}

SEC("raw_tp.w")
REJECT("combined stack size of 2 calls is 752. Too large")
int w9(void *c)
{
	USE(496);
	bpf_loop(3, lcb, 0, 0);
	return 0;
}

SEC("raw_tp.w")
REJECT("combined stack size of 2 calls is 992. Too large")
int w10(void *c)
{
	USE(496);
	bpf_tail_call(c, &progs, 0);
	return s496(1) & 0;
}

SEC("raw_tp.w")
REJECT("tail_calls are not allowed when call stack of previous frames is 496 bytes. Too large")
int w11(void *c)
{
	USE(496);
	return tail(c) & 0;
}
