/* Global functions that take the context as memory. */
#include "expect.h"
#define NI __attribute__((noinline, weak))

struct eight {
	long a;
};

struct large {
	char a[4096];
};

struct empty {};

NI int f8(struct eight *p)
{
	asm volatile("" ::"r"(p));
	return p ? p->a : 0;
}

NI int f8w(struct eight *p)
{
	if (p)
		p->a = 1;
	return 0;
}

NI int f4k(struct large *p)
{
	asm volatile("" ::"r"(p));
	return 1;
}

NI int f0(struct empty *p)
{
	asm volatile("" ::"r"(p));
	return 1;
}
SEC("kprobe/x")
REJECT("Caller passes invalid args into func#1 ('f8')")
int k1(void *c)
{
	return f8(c) & 0;
}

SEC("kprobe/x")
REJECT("Caller passes invalid args into func#1 ('f4k')")
int k2(void *c)
{
	return f4k(c) & 0;
}

SEC("kprobe/x")
REJECT("Caller passes invalid args into func#1 ('f8w')")
int k3(void *c)
{
	return f8w(c) & 0;
}

SEC("kprobe/x")
ACCEPT int k4(void *c)
{
	return f0(c) & 0;
}

SEC("tp/a/b")
REJECT("Caller passes invalid args into func#1 ('f8')")
int t1(void *c)
{
	return f8(c) & 0;
}

SEC("tp/a/b")
REJECT("Caller passes invalid args into func#1 ('f4k')")
int t2(void *c)
{
	return f4k(c) & 0;
}

SEC("tp/a/b")
REJECT("Caller passes invalid args into func#1 ('f8w')")
int t3(void *c)
{
	return f8w(c) & 0;
}

SEC("tp/a/b")
ACCEPT int t4(void *c)
{
	return f0(c) & 0;
}

SEC("raw_tp")
REJECT("Caller passes invalid args into func#1 ('f8')")
int r1(void *c)
{
	return f8(c) & 0;
}

SEC("raw_tp")
REJECT("Caller passes invalid args into func#1 ('f4k')")
int r2(void *c)
{
	return f4k(c) & 0;
}

SEC("raw_tp")
REJECT("Caller passes invalid args into func#1 ('f8w')")
int r3(void *c)
{
	return f8w(c) & 0;
}

SEC("raw_tp")
ACCEPT int r4(void *c)
{
	return f0(c) & 0;
}

SEC("tp_btf/sched_switch")
REJECT("Caller passes invalid args into func#1 ('f8')")
int b1(void *c)
{
	return f8(c) & 0;
}

SEC("tp_btf/sched_switch")
REJECT("Caller passes invalid args into func#1 ('f4k')")
int b2(void *c)
{
	return f4k(c) & 0;
}

SEC("tp_btf/sched_switch")
REJECT("Caller passes invalid args into func#1 ('f8w')")
int b3(void *c)
{
	return f8w(c) & 0;
}

SEC("tp_btf/sched_switch")
ACCEPT int b4(void *c)
{
	return f0(c) & 0;
}

SEC("iter/task")
REJECT("Caller passes invalid args into func#1 ('f8')")
int i1(void *c)
{
	return f8(c) & 0;
}

SEC("iter/task")
REJECT("Caller passes invalid args into func#1 ('f4k')")
int i2(void *c)
{
	return f4k(c) & 0;
}

SEC("iter/task")
REJECT("Caller passes invalid args into func#1 ('f8w')")
int i3(void *c)
{
	return f8w(c) & 0;
}

SEC("iter/task")
ACCEPT int i4(void *c)
{
	return f0(c) & 0;
}

SEC("syscall")
ACCEPT int s1(void *c)
{
	return f8(c) & 0;
}

SEC("syscall")
ACCEPT int s2(void *c)
{
	return f4k(c) & 0;
}

SEC("syscall")
ACCEPT int s3(void *c)
{
	return f8w(c) & 0;
}

SEC("syscall")
ACCEPT int s4(void *c)
{
	return f0(c) & 0;
}

SEC("netfilter")
REJECT("Caller passes invalid args into func#1 ('f8')")
int n1(void *c)
{
	return f8(c) & 0;
}

SEC("netfilter")
REJECT("Caller passes invalid args into func#1 ('f4k')")
int n2(void *c)
{
	return f4k(c) & 0;
}

SEC("netfilter")
REJECT("Caller passes invalid args into func#1 ('f8w')")
int n3(void *c)
{
	return f8w(c) & 0;
}

SEC("netfilter")
ACCEPT int n4(void *c)
{
	return f0(c) & 0;
}

SEC("cgroup/dev")
REJECT("Caller passes invalid args into func#1 ('f8')")
int d1(void *c)
{
	return f8(c) & 0;
}

SEC("cgroup/dev")
REJECT("Caller passes invalid args into func#1 ('f4k')")
int d2(void *c)
{
	return f4k(c) & 0;
}

SEC("cgroup/dev")
REJECT("Caller passes invalid args into func#1 ('f8w')")
int d3(void *c)
{
	return f8w(c) & 0;
}

SEC("cgroup/dev")
ACCEPT int d4(void *c)
{
	return f0(c) & 0;
}

SEC("xdp")
REJECT("Caller passes invalid args into func#1 ('f8')")
int x1(void *c)
{
	return f8(c) & 0;
}

SEC("xdp")
REJECT("Caller passes invalid args into func#1 ('f4k')")
int x2(void *c)
{
	return f4k(c) & 0;
}

SEC("xdp")
REJECT("Caller passes invalid args into func#1 ('f8w')")
int x3(void *c)
{
	return f8w(c) & 0;
}

SEC("xdp")
REJECT("Caller passes invalid args into func#1 ('f0')")
int x4(void *c)
{
	return f0(c) & 0;
}

SEC("tc")
REJECT("Caller passes invalid args into func#1 ('f8')")
int c1(void *c)
{
	return f8(c) & 0;
}

SEC("tc")
REJECT("Caller passes invalid args into func#1 ('f4k')")
int c2(void *c)
{
	return f4k(c) & 0;
}

SEC("tc")
REJECT("Caller passes invalid args into func#1 ('f8w')")
int c3(void *c)
{
	return f8w(c) & 0;
}

SEC("tc")
REJECT("Caller passes invalid args into func#1 ('f0')")
int c4(void *c)
{
	return f0(c) & 0;
}

SEC("perf_event")
REJECT("Caller passes invalid args into func#1 ('f8')")
int p1(void *c)
{
	return f8(c) & 0;
}

SEC("perf_event")
REJECT("Caller passes invalid args into func#1 ('f4k')")
int p2(void *c)
{
	return f4k(c) & 0;
}

SEC("perf_event")
REJECT("Caller passes invalid args into func#1 ('f8w')")
int p3(void *c)
{
	return f8w(c) & 0;
}

SEC("perf_event")
REJECT("Caller passes invalid args into func#1 ('f0')")
int p4(void *c)
{
	return f0(c) & 0;
}

SEC("cgroup/sysctl")
REJECT("Caller passes invalid args into func#1 ('f8')")
int y1(void *c)
{
	return f8(c) & 0;
}

SEC("cgroup/sysctl")
REJECT("Caller passes invalid args into func#1 ('f4k')")
int y2(void *c)
{
	return f4k(c) & 0;
}

SEC("cgroup/sysctl")
REJECT("Caller passes invalid args into func#1 ('f8w')")
int y3(void *c)
{
	return f8w(c) & 0;
}

SEC("cgroup/sysctl")
REJECT("Caller passes invalid args into func#1 ('f0')")
int y4(void *c)
{
	return f0(c) & 0;
}

struct bpf_user_pt_regs_t {};
char trace[64];

NI int f_registers(struct bpf_user_pt_regs_t *ctx)
{
	return bpf_get_stack(ctx, trace, sizeof(trace), 0);
}

SEC("kprobe/x")
ACCEPT int registers_by_name_of_structure(void *c)
{
	return f_registers(c);
}

SEC("perf_event")
REJECT("Caller passes invalid args into func#1 ('f_registers')")
int registers_are_no_event(void *c)
{
	return f_registers(c);
}
