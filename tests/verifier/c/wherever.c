/* Objects and locks in programs of many types, and in sections where nothing may sleep. */
#include "objects.h"

struct foo {
	int a;
};
struct value {
	struct foo __kptr *kept;
	struct foo __percpu_kptr *each;
	struct bpf_spin_lock lock;
};
MAP(values, ARRAY, struct value);

#define VALUE_OR_LEAVE                                                                                                 \
	int key = 0;                                                                                                   \
	struct value *v = bpf_map_lookup_elem(&values, &key);                                                          \
	if (!v)                                                                                                        \
	return 0
#define NEW_AND_DROP                                                                                                   \
	struct foo *f = bpf_obj_new(struct foo);                                                                       \
	if (f)                                                                                                         \
	bpf_obj_drop(f)
#define LOCK_AND_UNLOCK                                                                                                \
	VALUE_OR_LEAVE;                                                                                                \
	bpf_spin_lock(&v->lock);                                                                                       \
	bpf_spin_unlock(&v->lock)

extern void bpf_local_irq_save(unsigned long *flags) __ksym;
extern void bpf_local_irq_restore(unsigned long *flags) __ksym;

SEC("syscall")
REJECT("R1 invalid mem access 'untrusted_ptr_or_null_'") int kept_without_preemption(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_preempt_disable();
	int a = v->kept->a;
	bpf_preempt_enable();
	return a;
}

SEC("syscall")
REJECT("R1 invalid mem access 'untrusted_ptr_or_null_'") int kept_without_interrupts(void *ctx)
{
	VALUE_OR_LEAVE;
	unsigned long flags;
	bpf_local_irq_save(&flags);
	int a = v->kept->a;
	bpf_local_irq_restore(&flags);
	return a;
}

SEC("syscall")
REJECT("R1 invalid mem access 'rcu_ptr_or_null_'") int kept_under_lock(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_spin_lock(&v->lock);
	int a = v->kept->a;
	bpf_spin_unlock(&v->lock);
	return a;
}

SEC("syscall")
REJECT("R1 invalid mem access 'rcu_ptr_or_null_'") int kept_in_read_section(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_rcu_read_lock();
	int a = v->kept->a;
	bpf_rcu_read_unlock();
	return a;
}

SEC("syscall")
REJECT("verifier bug: ref_obj_id for allocated object must be non-zero") int kept_used_behind_read_section(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_rcu_read_lock();
	struct foo *f = v->kept;
	bpf_rcu_read_unlock();
	return f ? f->a : 0;
}

SEC("syscall")
REJECT("only read is supported") int kept_written_behind_read_section(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_rcu_read_lock();
	struct foo *f = v->kept;
	if (!f) {
		bpf_rcu_read_unlock();
		return 0;
	}
	bpf_rcu_read_unlock();
	f->a = 1;
	return 0;
}

SEC("syscall")
REJECT("R1 type=scalar expected=percpu_ptr_, percpu_rcu_ptr_, percpu_trusted_ptr_") int percpu_used_after_exchange(void *ctx)
{
	VALUE_OR_LEAVE;
	void *f = bpf_percpu_obj_new(struct foo);
	if (!f)
		return 0;
	void *g = bpf_kptr_xchg(&v->each, f);
	if (g)
		bpf_percpu_obj_drop(g);
	struct foo *mine = bpf_this_cpu_ptr(f);
	return mine->a;
}

SEC("syscall")
ACCEPT int percpu_used_after_exchange_in_read_section(void *ctx)
{
	VALUE_OR_LEAVE;
	void *f = bpf_percpu_obj_new(struct foo);
	if (!f)
		return 0;
	bpf_rcu_read_lock();
	void *g = bpf_kptr_xchg(&v->each, f);
	struct foo *mine = bpf_this_cpu_ptr(f);
	int x = mine->a;
	bpf_rcu_read_unlock();
	if (g)
		bpf_percpu_obj_drop(g);
	return x;
}

SEC("tc")
ACCEPT int of_a_cpu_unchecked(void *ctx)
{
	VALUE_OR_LEAVE;
	void *f = v->each;
	if (!f)
		return 0;
	struct foo *one = bpf_per_cpu_ptr(f, 1);
	return one->a;
}

SEC("tc")
REJECT("invalid kptr access, R2 type=percpu_ptr_ expected=ptr_foo") int percpu_in_plain_field(void *ctx)
{
	VALUE_OR_LEAVE;
	void *f = bpf_percpu_obj_new(struct foo);
	if (!f)
		return 0;
	f = bpf_kptr_xchg(&v->kept, f);
	if (f)
		bpf_percpu_obj_drop(f);
	return 0;
}

SEC("tc")
ACCEPT int plain_in_percpu_field(void *ctx)
{
	VALUE_OR_LEAVE;
	void *f = bpf_obj_new(struct foo);
	if (!f)
		return 0;
	f = bpf_kptr_xchg(&v->each, f);
	if (f)
		bpf_percpu_obj_drop(f);
	return 0;
}

SEC("tc")
REJECT("verifier bug: invalid PTR_TO_BTF_ID register for type match") int loaded_and_exchanged(void *ctx)
{
	VALUE_OR_LEAVE;
	struct foo *f = v->kept;
	if (!f)
		return 0;
	f = bpf_kptr_xchg(&v->kept, f);
	if (f)
		bpf_obj_drop(f);
	return 0;
}

SEC("tc")
REJECT("function calls are not allowed while holding a lock") int lock_and_read_section_crossed(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_rcu_read_lock();
	bpf_spin_lock(&v->lock);
	bpf_rcu_read_unlock();
	bpf_spin_unlock(&v->lock);
	return 0;
}

SEC("tc")
REJECT("BPF_EXIT instruction in main prog cannot be used inside bpf_spin_lock-ed region") int left_locked_without_preemption(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_preempt_disable();
	bpf_spin_lock(&v->lock);
	return 0;
}

SEC("tc")
REJECT("BPF_EXIT instruction in main prog would lead to reference leak") int left_owning_in_read_section(void *ctx)
{
	struct foo *f = bpf_obj_new(struct foo);
	if (!f)
		return 0;
	bpf_rcu_read_lock();
	return 0;
}

SEC("tc")
ACCEPT int checked_under_lock(void *ctx)
{
	VALUE_OR_LEAVE;
	struct foo *f = bpf_obj_new(struct foo);
	bpf_spin_lock(&v->lock);
	int x = f ? f->a : 0;
	bpf_spin_unlock(&v->lock);
	if (f)
		bpf_obj_drop(f);
	return x;
}

SEC("cgroup/skb")
ACCEPT int in_cgroup_skb(void *ctx)
{
	NEW_AND_DROP;
	return 1;
}

SEC("lwt_in")
REJECT("calling kernel function bpf_obj_new_impl is not allowed") int in_lwt(void *ctx)
{
	NEW_AND_DROP;
	return 0;
}

SEC("perf_event")
ACCEPT int in_perf_event(void *ctx)
{
	NEW_AND_DROP;
	return 0;
}

SEC("sk_skb/stream_parser")
REJECT("calling kernel function bpf_obj_new_impl is not allowed") int in_stream_parser(void *ctx)
{
	NEW_AND_DROP;
	return 0;
}

SEC("raw_tp/sys_enter")
REJECT("calling kernel function bpf_obj_new_impl is not allowed") int in_raw_tracepoint(void *ctx)
{
	NEW_AND_DROP;
	return 0;
}

SEC("tp_btf/sys_enter")
ACCEPT int in_typed_tracepoint(void *ctx)
{
	NEW_AND_DROP;
	return 0;
}

SEC("tp_btf/sys_enter")
ACCEPT int lock_in_typed_tracepoint(void *ctx)
{
	LOCK_AND_UNLOCK;
	return 0;
}

SEC("sk_lookup")
ACCEPT int lock_in_socket_lookup(void *ctx)
{
	LOCK_AND_UNLOCK;
	return 1;
}

SEC("flow_dissector")
ACCEPT int lock_in_flow_dissector(void *ctx)
{
	LOCK_AND_UNLOCK;
	return 0;
}

SEC("cgroup/dev")
ACCEPT int lock_in_device_filter(void *ctx)
{
	LOCK_AND_UNLOCK;
	return 0;
}

SEC("netfilter")
ACCEPT int lock_in_netfilter(void *ctx)
{
	LOCK_AND_UNLOCK;
	return 0;
}
