/* Exceptions: where a program may throw, and the function that they go to. */
#include "expect.h"
#define NI __attribute__((noinline, weak))
#define STATIC static __attribute__((noinline))
#define __exception_cb(name) __attribute__((btf_decl_tag("exception_callback:" #name)))
extern void bpf_throw(unsigned long long) __ksym;
extern void bpf_rcu_read_lock(void) __ksym;
extern void bpf_rcu_read_unlock(void) __ksym;
extern void bpf_preempt_disable(void) __ksym;
extern void bpf_preempt_enable(void) __ksym;
extern void bpf_local_irq_save(unsigned long *) __ksym;
extern void bpf_local_irq_restore(unsigned long *) __ksym;
int g;

struct val {
	struct bpf_spin_lock l;
	int x;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, struct val);
} arr SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} rb SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, int);
} progs SEC(".maps");

NI int cb_ok(unsigned long long c)
{
	return c & 1;
}

NI int cb_ret_c(unsigned long long c)
{
	return c;
}

NI int cb_two(unsigned long long c, int b)
{
	return 0;
}

NI int cb_none(void)
{
	return 0;
}

NI int cb_ptr(int *p)
{
	return 0;
}

NI void cb_void(unsigned long long c)
{
	g = c;
}

NI int cb_throw(unsigned long long c)
{
	bpf_throw(0);
	return 0;
}

static __attribute__((used)) int cb_static(unsigned long long c)
{
	return 0;
}

NI int thrower(int x)
{
	bpf_throw(x);
	return 0;
}

NI int thrower_ok(int x)
{
	if (x)
		bpf_throw(x);
	return 0;
}

STATIC int st_thrower(int x)
{
	if (g)
		bpf_throw(x);
	return 0;
}

STATIC int loop_cb(int i, void *c)
{
	bpf_throw(0);
	return 0;
}

STATIC int loop_cb2(int i, void *c)
{
	st_thrower(i);
	return 0;
}

NI int thr_cb_sub(int i, void *c)
{
	return thrower_ok(i);
}

STATIC int loop_cb3(int i, void *c)
{
	thrower_ok(i);
	return 0;
}

SEC("tc")
ACCEPT int e1(struct __sk_buff *c)
{
	bpf_throw(1);
	return 0;
}

SEC("tc")
ACCEPT int e2(struct __sk_buff *c)
{
	if (c->len)
		bpf_throw(1);
	return 0;
}

SEC("xdp")
ACCEPT int e3(void *c)
{
	bpf_throw(1);
	return 0;
}

SEC("cgroup_skb/ingress")
ACCEPT int e4(void *c)
{
	bpf_throw(1);
	return 0;
}

SEC("cgroup_skb/ingress")
ACCEPT int e4z(void *c)
{
	bpf_throw(0);
	return 0;
}

SEC("tc")
ACCEPT int e5(struct __sk_buff *c)
{
	return thrower(1);
}

SEC("tc")
ACCEPT int e6(struct __sk_buff *c)
{
	return thrower_ok(c->len);
}

SEC("tc")
ACCEPT int e7(struct __sk_buff *c)
{
	return st_thrower(c->len);
}

SEC("tc")
REJECT("bpf_throw would lead to reference leak")
int e8(struct __sk_buff *c)
{
	void *p = bpf_ringbuf_reserve(&rb, 8, 0);
	if (!p)
		return 0;
	if (c->len)
		bpf_throw(1);
	bpf_ringbuf_discard(p, 0);
	return 0;
}

SEC("tc")
REJECT("bpf_throw would lead to reference leak")
int e8s(struct __sk_buff *c)
{
	void *p = bpf_ringbuf_reserve(&rb, 8, 0);
	if (!p)
		return 0;
	st_thrower(1);
	bpf_ringbuf_discard(p, 0);
	return 0;
}

SEC("tc")
ACCEPT int e8g(struct __sk_buff *c)
{
	void *p = bpf_ringbuf_reserve(&rb, 8, 0);
	if (!p)
		return 0;
	thrower_ok(1);
	bpf_ringbuf_discard(p, 0);
	return 0;
}

SEC("tc")
ACCEPT int e8gt(struct __sk_buff *c)
{
	void *p = bpf_ringbuf_reserve(&rb, 8, 0);
	if (!p)
		return 0;
	thrower(1);
	bpf_ringbuf_discard(p, 0);
	return 0;
}

SEC("tc")
REJECT("function calls are not allowed while holding a lock")
int e9(struct __sk_buff *c)
{
	int k = 0;
	struct val *v = bpf_map_lookup_elem(&arr, &k);
	if (!v)
		return 0;
	bpf_spin_lock(&v->l);
	bpf_throw(1);
	bpf_spin_unlock(&v->l);
	return 0;
}

SEC("tc")
REJECT("function calls are not allowed while holding a lock")
int e9s(struct __sk_buff *c)
{
	int k = 0;
	struct val *v = bpf_map_lookup_elem(&arr, &k);
	if (!v)
		return 0;
	bpf_spin_lock(&v->l);
	st_thrower(1);
	bpf_spin_unlock(&v->l);
	return 0;
}

SEC("tc")
REJECT("bpf_throw cannot be used inside bpf_rcu_read_lock-ed region")
int e10(struct __sk_buff *c)
{
	bpf_rcu_read_lock();
	bpf_throw(1);
	bpf_rcu_read_unlock();
	return 0;
}

SEC("tc")
REJECT("bpf_throw cannot be used inside bpf_rcu_read_lock-ed region")
int e10s(struct __sk_buff *c)
{
	bpf_rcu_read_lock();
	st_thrower(1);
	bpf_rcu_read_unlock();
	return 0;
}

SEC("tc")
ACCEPT int e10g(struct __sk_buff *c)
{
	bpf_rcu_read_lock();
	thrower_ok(1);
	bpf_rcu_read_unlock();
	return 0;
}

SEC("tc")
REJECT("bpf_throw cannot be used inside bpf_preempt_disable-ed region")
int e11(struct __sk_buff *c)
{
	bpf_preempt_disable();
	bpf_throw(1);
	bpf_preempt_enable();
	return 0;
}

SEC("tc")
REJECT("bpf_throw cannot be used inside bpf_local_irq_save-ed region")
int e11i(struct __sk_buff *c)
{
	unsigned long f;
	bpf_local_irq_save(&f);
	bpf_throw(1);
	bpf_local_irq_restore(&f);
	return 0;
}

SEC("tc")
REJECT("bpf_throw kfunc (insn 9) cannot be called from callback subprog 1")
int e12(struct __sk_buff *c)
{
	bpf_loop(5, loop_cb, 0, 0);
	return 0;
}

SEC("tc")
REJECT("bpf_throw kfunc (insn 17) cannot be called from callback subprog 2")
int e12s(struct __sk_buff *c)
{
	bpf_loop(5, loop_cb2, 0, 0);
	return 0;
}

SEC("tc")
REJECT("bpf_throw kfunc (insn 14) cannot be called from callback subprog 2")
int e12g(struct __sk_buff *c)
{
	bpf_loop(5, loop_cb3, 0, 0);
	return 0;
}

SEC("tc")
REJECT("R1 is not a scalar")
int e13(struct __sk_buff *c)
{
	bpf_throw((unsigned long)c);
	return 0;
}

SEC("tc")
ACCEPT int e14(struct __sk_buff *c)
{
	bpf_tail_call(c, &progs, 0);
	bpf_throw(0);
	return 0;
}

SEC("tc")
ACCEPT __exception_cb(cb_ok)

int x1(struct __sk_buff *c)
{
	bpf_throw(1);
	return 0;
}

SEC("tc")
REJECT("exception cb only supports single integer argument")
__exception_cb(cb_two) int x2(struct __sk_buff *c)
{
	bpf_throw(1);
	return 0;
}

SEC("tc")
REJECT("exception cb only supports single integer argument")
__exception_cb(cb_none) int x3(struct __sk_buff *c)
{
	bpf_throw(1);
	return 0;
}

SEC("tc")
REJECT("exception cb only supports single integer argument")
__exception_cb(cb_ptr) int x4(struct __sk_buff *c)
{
	bpf_throw(1);
	return 0;
}

SEC("tc")
REJECT("Global function cb_void() doesn't return scalar. Only those are supported.")
__exception_cb(cb_void) int x5(struct __sk_buff *c)
{
	bpf_throw(1);
	return 0;
}

SEC("tc")
REJECT("exception callback 'cb_static' must have global linkage")
__exception_cb(cb_static) int x6(struct __sk_buff *c)
{
	bpf_throw(1);
	return 0;
}

SEC("tc")
REJECT("exception callback 'nosuch' could not be found in BTF")
__exception_cb(nosuch) int x7(struct __sk_buff *c)
{
	bpf_throw(1);
	return 0;
}

SEC("tc")
REJECT("multiple exception callback tags for main subprog")
__exception_cb(cb_ok) __exception_cb(cb_ret_c) int x8(struct __sk_buff *c)
{
	bpf_throw(1);
	return 0;
}

SEC("tc")
REJECT("insn 1 cannot call exception cb directly")
__exception_cb(cb_ok) int x9(struct __sk_buff *c)
{
	return cb_ok(1);
}

SEC("tc")
REJECT("bpf_throw kfunc (insn 5) cannot be called from callback subprog 1")
__exception_cb(cb_throw) int x10(struct __sk_buff *c)
{
	bpf_throw(1);
	return 0;
}

SEC("tc")
ACCEPT __exception_cb(cb_ok)

int x11(struct __sk_buff *c)
{
	return 0;
}

SEC("cgroup_skb/ingress")
ACCEPT __exception_cb(cb_ok)

int x12(struct __sk_buff *c)
{
	bpf_throw(7);
	return 0;
}

SEC("cgroup_skb/ingress")
REJECT("At program exit the register R0 has unknown scalar value should have been in [0, 1]")
__exception_cb(cb_ret_c) int x13(struct __sk_buff *c)
{
	bpf_throw(7);
	return 0;
}

SEC("tc")
ACCEPT __exception_cb(cb_ret_c)

int x14(struct __sk_buff *c)
{
	bpf_throw(7);
	return 0;
}

SEC("tc")
REJECT("invalid exception callback insn_off in func_info: 0")
__exception_cb(x15) int x15(struct __sk_buff *c)
{
	bpf_throw(7);
	return 0;
}

SEC("cgroup_skb/ingress")
REJECT("At program exit the register R1 has smin=7 smax=7 should have been in [0, 1]")
int e4q(void *c)
{
	bpf_throw(7);
	return 0;
}

SEC("cgroup_skb/ingress")
ACCEPT int e4r(void *c)
{
	return thrower_ok(7) & 1;
}

SEC("cgroup_skb/ingress")
REJECT("At program exit the register R1 has smin=7 smax=7 should have been in [0, 1]")
int e4s(void *c)
{
	return st_thrower(7) & 1;
}

SEC("iter/task")
REJECT("At program exit the register R1 has smin=7 smax=7 should have been in [0, 1]")
int e4t(void *c)
{
	return st_thrower(7) & 1;
}

NI int cb_tail(unsigned long long c)
{
	return 0;
}
