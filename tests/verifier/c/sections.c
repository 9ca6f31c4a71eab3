/* Sections: RCU read locks, disabled preemption, saved interrupt flags; what may be done inside, and how they end. */
#include "on_stack.h"

u64 global[4];

SEC("syscall")
ACCEPT int rcu(void *ctx)
{
	bpf_rcu_read_lock();
	bpf_rcu_read_unlock();
	return 0;
}

SEC("syscall")
REJECT("BPF_EXIT instruction in main prog cannot be used inside bpf_rcu_read_lock-ed region") int rcu_kept(void *ctx)
{
	bpf_rcu_read_lock();
	return 0;
}

SEC("syscall")
REJECT("BPF_EXIT instruction in main prog cannot be used inside bpf_rcu_read_lock-ed region") int rcu_kept_on_one_path(void *ctx)
{
	bpf_rcu_read_lock();
	if (bpf_get_prandom_u32() & 1)
		return 0;
	bpf_rcu_read_unlock();
	return 0;
}

SEC("syscall")
REJECT("unmatched rcu read unlock (kernel function bpf_rcu_read_unlock)") int rcu_unlocked_only(void *ctx)
{
	bpf_rcu_read_unlock();
	return 0;
}

SEC("syscall")
REJECT("nested rcu read lock (kernel function bpf_rcu_read_lock)") int rcu_twice(void *ctx)
{
	bpf_rcu_read_lock();
	bpf_rcu_read_lock();
	bpf_rcu_read_unlock();
	bpf_rcu_read_unlock();
	return 0;
}

SEC("syscall")
ACCEPT int rcu_one_after_another(void *ctx)
{
	bpf_rcu_read_lock();
	bpf_rcu_read_unlock();
	bpf_rcu_read_lock();
	bpf_rcu_read_unlock();
	return 0;
}

SEC("raw_tp")
ACCEPT int rcu_where_nothing_sleeps(void *ctx)
{
	bpf_rcu_read_lock();
	bpf_rcu_read_unlock();
	return 0;
}

SEC("raw_tp")
REJECT("BPF_EXIT instruction in main prog cannot be used inside bpf_rcu_read_lock-ed region") int rcu_kept_where_nothing_sleeps(void *ctx)
{
	bpf_rcu_read_lock();
	return 0;
}

SEC("syscall")
REJECT("sleepable helper bpf_copy_from_user#148 in rcu_read_lock region") int sleeping_helper_in_rcu(void *ctx)
{
	char to[8];

	bpf_rcu_read_lock();
	bpf_copy_from_user(to, sizeof(to), 0);
	bpf_rcu_read_unlock();
	return 0;
}

SEC("syscall")
ACCEPT int sleeping_helper_after_rcu(void *ctx)
{
	char to[8];

	bpf_rcu_read_lock();
	bpf_rcu_read_unlock();
	bpf_copy_from_user(to, sizeof(to), 0);
	return 0;
}

SEC("syscall")
REJECT("kernel func bpf_copy_from_user_str is sleepable within rcu_read_lock region") int sleeping_kfunc_in_rcu(void *ctx)
{
	char to[8];

	bpf_rcu_read_lock();
	bpf_copy_from_user_str(to, sizeof(to), 0, 0);
	bpf_rcu_read_unlock();
	return 0;
}

static __noinline int unlocks(void)
{
	bpf_rcu_read_unlock();
	return 0;
}

SEC("syscall")
ACCEPT int rcu_unlocked_by_a_function(void *ctx)
{
	bpf_rcu_read_lock();
	return unlocks();
}

static __noinline int locks(void)
{
	bpf_rcu_read_lock();
	return 0;
}

SEC("syscall")
ACCEPT int rcu_locked_by_a_function(void *ctx)
{
	locks();
	bpf_rcu_read_unlock();
	return 0;
}

SEC("syscall")
REJECT("BPF_EXIT instruction in main prog cannot be used inside bpf_rcu_read_lock-ed region") int rcu_kept_by_a_function(void *ctx)
{
	locks();
	return 0;
}

__noinline int calm(int a)
{
	return a + 1;
}

__noinline int sleeps(int a)
{
	char to[8] = {};

	bpf_copy_from_user(to, sizeof(to), 0);
	return a + to[0];
}

SEC("syscall")
ACCEPT int global_function_in_rcu(void *ctx)
{
	bpf_rcu_read_lock();
	calm(1);
	bpf_rcu_read_unlock();
	return 0;
}

SEC("syscall")
ACCEPT int sleeping_global_function(void *ctx)
{
	return sleeps(1);
}

SEC("syscall")
REJECT("a non-sleepable BPF program context") int sleeping_global_function_in_rcu(void *ctx)
{
	bpf_rcu_read_lock();
	sleeps(1);
	bpf_rcu_read_unlock();
	return 0;
}

__noinline int locks_globally(int a)
{
	bpf_rcu_read_lock();
	return a;
}

SEC("syscall")
REJECT("unmatched rcu read unlock (kernel function bpf_rcu_read_unlock)") int rcu_locked_by_a_global_function(void *ctx)
{
	locks_globally(1);
	bpf_rcu_read_unlock();
	return 0;
}

__noinline int keeps_globally(int a)
{
	bpf_rcu_read_lock();
	return a;
}

SEC("syscall")
REJECT("BPF_EXIT instruction in main prog cannot be used inside bpf_rcu_read_lock-ed region") int rcu_kept_by_a_global_function(void *ctx)
{
	keeps_globally(1);
	return 0;
}

static int once(u32 index, void *data)
{
	bpf_rcu_read_lock();
	bpf_rcu_read_unlock();
	return 0;
}

static int once_and_kept(u32 index, void *data)
{
	bpf_rcu_read_lock();
	return 0;
}

static int unlocks_in_callback(u32 index, void *data)
{
	bpf_rcu_read_unlock();
	return 0;
}

SEC("syscall")
ACCEPT int rcu_in_a_callback(void *ctx)
{
	bpf_loop(3, once, 0, 0);
	return 0;
}

SEC("syscall")
REJECT("BPF_EXIT instruction in main prog cannot be used inside bpf_rcu_read_lock-ed region") int rcu_kept_in_a_callback(void *ctx)
{
	bpf_loop(3, once_and_kept, 0, 0);
	return 0;
}

SEC("syscall")
REJECT("nested rcu read lock (kernel function bpf_rcu_read_lock)") int rcu_around_a_callback(void *ctx)
{
	bpf_rcu_read_lock();
	bpf_loop(3, once, 0, 0);
	bpf_rcu_read_unlock();
	return 0;
}

SEC("syscall")
REJECT("BPF_EXIT instruction in main prog cannot be used inside bpf_rcu_read_lock-ed region") int rcu_unlocked_in_a_callback(void *ctx)
{
	bpf_rcu_read_lock();
	bpf_loop(3, unlocks_in_callback, 0, 0);
	return 0;
}

SEC("syscall")
REJECT("bpf_throw cannot be used inside bpf_rcu_read_lock-ed region") int thrown_in_rcu(void *ctx)
{
	bpf_rcu_read_lock();
	if (bpf_get_prandom_u32())
		bpf_throw(0);
	bpf_rcu_read_unlock();
	return 0;
}

SEC("tc")
ACCEPT int tail_call_in_rcu(struct __sk_buff *skb)
{
	bpf_rcu_read_lock();
	bpf_skb_pull_data(skb, 1);
	bpf_rcu_read_unlock();
	return 0;
}

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, 4);
	__uint(value_size, 4);
} jumps SEC(".maps");

SEC("tc")
REJECT("tail_call cannot be used inside bpf_rcu_read_lock-ed region") int jumps_in_rcu(struct __sk_buff *skb)
{
	bpf_rcu_read_lock();
	bpf_tail_call(skb, &jumps, 0);
	bpf_rcu_read_unlock();
	return 0;
}

SEC("tc")
REJECT("tail_call cannot be used inside bpf_preempt_disable-ed region") int jumps_without_preemption(struct __sk_buff *skb)
{
	bpf_preempt_disable();
	bpf_tail_call(skb, &jumps, 0);
	bpf_preempt_enable();
	return 0;
}

SEC("tc")
REJECT("tail_call cannot be used inside bpf_local_irq_save-ed region") int jumps_without_interrupts(struct __sk_buff *skb)
{
	unsigned long flags;

	bpf_local_irq_save(&flags);
	bpf_tail_call(skb, &jumps, 0);
	bpf_local_irq_restore(&flags);
	return 0;
}

SEC("tc")
ACCEPT int preemption(struct __sk_buff *skb)
{
	bpf_preempt_disable();
	bpf_preempt_enable();
	return 0;
}

SEC("tc")
ACCEPT int preemption_twice(struct __sk_buff *skb)
{
	bpf_preempt_disable();
	bpf_preempt_disable();
	bpf_preempt_enable();
	bpf_preempt_enable();
	return 0;
}

SEC("tc")
REJECT("BPF_EXIT instruction in main prog cannot be used inside bpf_preempt_disable-ed region") int preemption_kept(struct __sk_buff *skb)
{
	bpf_preempt_disable();
	return 0;
}

SEC("tc")
REJECT("BPF_EXIT instruction in main prog cannot be used inside bpf_preempt_disable-ed region") int preemption_enabled_once(struct __sk_buff *skb)
{
	bpf_preempt_disable();
	bpf_preempt_disable();
	bpf_preempt_enable();
	return 0;
}

SEC("tc")
REJECT("unmatched attempt to enable preemption (kernel function bpf_preempt_enable)") int preemption_enabled_only(struct __sk_buff *skb)
{
	bpf_preempt_enable();
	return 0;
}

SEC("tc")
REJECT("BPF_EXIT instruction in main prog cannot be used inside bpf_preempt_disable-ed region") int preemption_kept_on_one_path(struct __sk_buff *skb)
{
	bpf_preempt_disable();
	if (skb->len)
		bpf_preempt_enable();
	return 0;
}

SEC("syscall")
REJECT("sleepable helper bpf_copy_from_user#148 in non-preemptible region") int sleeping_helper_without_preemption(void *ctx)
{
	char to[8];

	bpf_preempt_disable();
	bpf_copy_from_user(to, sizeof(to), 0);
	bpf_preempt_enable();
	return 0;
}

SEC("syscall")
REJECT("kernel func bpf_copy_from_user_str is sleepable within non-preemptible region") int sleeping_kfunc_without_preemption(void *ctx)
{
	char to[8];

	bpf_preempt_disable();
	bpf_copy_from_user_str(to, sizeof(to), 0, 0);
	bpf_preempt_enable();
	return 0;
}

SEC("syscall")
ACCEPT int global_function_without_preemption(void *ctx)
{
	bpf_preempt_disable();
	calm(1);
	bpf_preempt_enable();
	return 0;
}

SEC("syscall")
REJECT("a non-sleepable BPF program context") int sleeping_global_function_without_preemption(void *ctx)
{
	bpf_preempt_disable();
	sleeps(1);
	bpf_preempt_enable();
	return 0;
}

SEC("tc")
REJECT("a non-sleepable BPF program context") int sleeping_global_function_in_tc(struct __sk_buff *skb)
{
	return sleeps(1);
}

SEC("syscall")
REJECT("bpf_throw cannot be used inside bpf_preempt_disable-ed region") int thrown_without_preemption(void *ctx)
{
	bpf_preempt_disable();
	if (bpf_get_prandom_u32())
		bpf_throw(0);
	bpf_preempt_enable();
	return 0;
}

static int without_preemption(u32 index, void *data)
{
	bpf_preempt_disable();
	bpf_preempt_enable();
	return 0;
}

SEC("tc")
ACCEPT int preemption_in_a_callback(struct __sk_buff *skb)
{
	bpf_loop(3, without_preemption, 0, 0);
	return 0;
}

static int keeps_preemption(u32 index, void *data)
{
	bpf_preempt_disable();
	return 0;
}

SEC("tc")
REJECT("BPF_EXIT instruction in main prog cannot be used inside bpf_preempt_disable-ed region") int preemption_kept_in_a_callback(struct __sk_buff *skb)
{
	bpf_loop(3, keeps_preemption, 0, 0);
	return 0;
}

SEC("tc")
REJECT("BPF_LD_[ABS|IND] cannot be used inside bpf_preempt_disable-ed region") int packet_load_without_preemption(struct __sk_buff *skb)
{
	u64 got;

	bpf_preempt_disable();
	asm volatile("r6 = %1; r0 = *(u8 *)skb[3]; %0 = r0" : "=r"(got) : "r"(skb) : "r0", "r1", "r2", "r3", "r4", "r5", "r6");
	bpf_preempt_enable();
	return got;
}

SEC("tc")
ACCEPT int interrupts(struct __sk_buff *skb)
{
	unsigned long flags;

	bpf_local_irq_save(&flags);
	bpf_local_irq_restore(&flags);
	return 0;
}

SEC("tc")
REJECT("BPF_EXIT instruction in main prog cannot be used inside bpf_local_irq_save-ed region") int interrupts_kept(struct __sk_buff *skb)
{
	unsigned long flags;

	bpf_local_irq_save(&flags);
	return 0;
}

SEC("tc")
ACCEPT int interrupts_nested(struct __sk_buff *skb)
{
	unsigned long one, two;

	bpf_local_irq_save(&one);
	bpf_local_irq_save(&two);
	bpf_local_irq_restore(&two);
	bpf_local_irq_restore(&one);
	return 0;
}

SEC("tc")
REJECT("cannot restore irq state out of order, expected id=2 acquired at insn_idx=7") int interrupts_out_of_order(struct __sk_buff *skb)
{
	unsigned long one, two;

	bpf_local_irq_save(&one);
	bpf_local_irq_save(&two);
	bpf_local_irq_restore(&one);
	bpf_local_irq_restore(&two);
	return 0;
}

SEC("tc")
REJECT("BPF_EXIT instruction in main prog cannot be used inside bpf_local_irq_save-ed region") int interrupts_one_of_two_kept(struct __sk_buff *skb)
{
	unsigned long one, two;

	bpf_local_irq_save(&one);
	bpf_local_irq_save(&two);
	bpf_local_irq_restore(&two);
	return 0;
}

SEC("tc")
REJECT("expected an initialized irq flag as arg#0") int interrupts_restored_only(struct __sk_buff *skb)
{
	unsigned long flags;

	bpf_local_irq_restore(&flags);
	return 0;
}

SEC("tc")
REJECT("expected an initialized irq flag as arg#0") int interrupts_restored_twice(struct __sk_buff *skb)
{
	unsigned long flags;

	bpf_local_irq_save(&flags);
	bpf_local_irq_restore(&flags);
	bpf_local_irq_restore(&flags);
	return 0;
}

SEC("tc")
REJECT("expected uninitialized irq flag as arg#0") int interrupts_saved_over_each_other(struct __sk_buff *skb)
{
	unsigned long flags;

	bpf_local_irq_save(&flags);
	bpf_local_irq_save(&flags);
	bpf_local_irq_restore(&flags);
	return 0;
}

SEC("tc")
REJECT("expected an initialized irq flag as arg#0") int interrupt_flags_overwritten(struct __sk_buff *skb)
{
	unsigned long flags;

	bpf_local_irq_save(&flags);
	*(volatile unsigned long *)&flags = 0;
	bpf_local_irq_restore(&flags);
	return 0;
}

SEC("tc")
REJECT("expected an initialized irq flag as arg#0") int interrupt_flags_overwritten_in_part(struct __sk_buff *skb)
{
	unsigned long flags;

	bpf_local_irq_save(&flags);
	*((volatile char *)&flags + 3) = 0;
	bpf_local_irq_restore(&flags);
	return 0;
}

SEC("tc")
REJECT("invalid read from stack off -8+0 size 8") int interrupt_flags_read(struct __sk_buff *skb)
{
	unsigned long flags;
	unsigned long seen;

	bpf_local_irq_save(&flags);
	seen = *(volatile unsigned long *)&flags;
	bpf_local_irq_restore(&flags);
	return seen;
}

SEC("tc")
REJECT("expected an initialized irq flag as arg#0") int interrupt_flags_overwritten_by_a_helper(struct __sk_buff *skb)
{
	unsigned long flags;

	bpf_local_irq_save(&flags);
	bpf_skb_load_bytes(skb, 0, &flags, sizeof(flags));
	bpf_local_irq_restore(&flags);
	return 0;
}

SEC("tc")
REJECT("invalid read from stack R3 off -8+0 size 8") int interrupt_flags_passed_to_a_helper(struct __sk_buff *skb)
{
	unsigned long flags;

	bpf_local_irq_save(&flags);
	bpf_skb_store_bytes(skb, 0, &flags, sizeof(flags), 0);
	bpf_local_irq_restore(&flags);
	return 0;
}

SEC("tc")
ACCEPT int interrupt_flags_over_a_spilled_number(struct __sk_buff *skb)
{
	volatile unsigned long flags = skb->len;

	bpf_local_irq_save((unsigned long *)&flags);
	bpf_local_irq_restore((unsigned long *)&flags);
	return 0;
}

SEC("tc")
REJECT("arg#0 doesn't point to an irq flag on stack") int interrupt_flags_in_a_map(struct __sk_buff *skb)
{
	bpf_local_irq_save((unsigned long *)global);
	bpf_local_irq_restore((unsigned long *)global);
	return 0;
}

SEC("tc")
REJECT("expected uninitialized irq flag as arg#0") int interrupt_flags_not_aligned(struct __sk_buff *skb)
{
	unsigned long two[2];

	bpf_local_irq_save((void *)two + 4);
	bpf_local_irq_restore((void *)two + 4);
	return 0;
}

SEC("tc")
REJECT("expected uninitialized irq flag as arg#0") int interrupt_flags_at_a_varying_place(struct __sk_buff *skb)
{
	unsigned long two[2];
	u32 at = skb->len & 1;

	bpf_local_irq_save(&two[at]);
	bpf_local_irq_restore(&two[at]);
	return 0;
}

SEC("tc")
REJECT("expected an initialized irq flag as arg#0") int interrupt_flags_restored_from_a_number(struct __sk_buff *skb)
{
	unsigned long flags = 0;

	bpf_local_irq_restore(&flags);
	return 0;
}

SEC("tc")
REJECT("BPF_EXIT instruction in main prog cannot be used inside bpf_local_irq_save-ed region") int interrupts_kept_on_one_path(struct __sk_buff *skb)
{
	unsigned long flags;

	bpf_local_irq_save(&flags);
	if (skb->len)
		return 0;
	bpf_local_irq_restore(&flags);
	return 0;
}

static __noinline int restores(unsigned long *flags)
{
	bpf_local_irq_restore(flags);
	return 0;
}

SEC("tc")
ACCEPT int interrupts_restored_by_a_function(struct __sk_buff *skb)
{
	unsigned long flags;

	bpf_local_irq_save(&flags);
	return restores(&flags);
}

static __noinline int saves(unsigned long *flags)
{
	bpf_local_irq_save(flags);
	return 0;
}

SEC("tc")
ACCEPT int interrupts_saved_by_a_function(struct __sk_buff *skb)
{
	unsigned long flags;

	saves(&flags);
	bpf_local_irq_restore(&flags);
	return 0;
}

static __noinline int keeps_interrupts(void)
{
	unsigned long flags;

	bpf_local_irq_save(&flags);
	return 0;
}

SEC("tc")
REJECT("BPF_EXIT instruction in main prog cannot be used inside bpf_local_irq_save-ed region") int interrupts_kept_by_a_function(struct __sk_buff *skb)
{
	return keeps_interrupts();
}

SEC("syscall")
REJECT("sleepable helper bpf_copy_from_user#148 in IRQ-disabled region") int sleeping_helper_without_interrupts(void *ctx)
{
	unsigned long flags;
	char to[8];

	bpf_local_irq_save(&flags);
	bpf_copy_from_user(to, sizeof(to), 0);
	bpf_local_irq_restore(&flags);
	return 0;
}

SEC("syscall")
REJECT("kernel func bpf_copy_from_user_str is sleepable within IRQ-disabled region") int sleeping_kfunc_without_interrupts(void *ctx)
{
	unsigned long flags;
	char to[8];

	bpf_local_irq_save(&flags);
	bpf_copy_from_user_str(to, sizeof(to), 0, 0);
	bpf_local_irq_restore(&flags);
	return 0;
}

SEC("syscall")
ACCEPT int global_function_without_interrupts(void *ctx)
{
	unsigned long flags;

	bpf_local_irq_save(&flags);
	calm(1);
	bpf_local_irq_restore(&flags);
	return 0;
}

SEC("syscall")
REJECT("a non-sleepable BPF program context") int sleeping_global_function_without_interrupts(void *ctx)
{
	unsigned long flags;

	bpf_local_irq_save(&flags);
	sleeps(1);
	bpf_local_irq_restore(&flags);
	return 0;
}

SEC("syscall")
REJECT("bpf_throw cannot be used inside bpf_local_irq_save-ed region") int thrown_without_interrupts(void *ctx)
{
	unsigned long flags;

	bpf_local_irq_save(&flags);
	if (bpf_get_prandom_u32())
		bpf_throw(0);
	bpf_local_irq_restore(&flags);
	return 0;
}

SEC("tc")
ACCEPT int all_three(struct __sk_buff *skb)
{
	unsigned long flags;

	bpf_rcu_read_lock();
	bpf_preempt_disable();
	bpf_local_irq_save(&flags);
	bpf_rcu_read_unlock();
	bpf_preempt_enable();
	bpf_local_irq_restore(&flags);
	return 0;
}

SEC("tc")
REJECT("BPF_EXIT instruction in main prog cannot be used inside bpf_local_irq_save-ed region") int all_three_kept(struct __sk_buff *skb)
{
	unsigned long flags;

	bpf_local_irq_save(&flags);
	bpf_preempt_disable();
	bpf_rcu_read_lock();
	return 0;
}

SEC("tc")
REJECT("BPF_EXIT instruction in main prog cannot be used inside bpf_local_irq_save-ed region") int two_kept(struct __sk_buff *skb)
{
	unsigned long flags;

	bpf_local_irq_save(&flags);
	bpf_preempt_disable();
	return 0;
}

SEC("tc")
REJECT("BPF_EXIT instruction in main prog would lead to reference leak") int record_and_section_kept(struct __sk_buff *skb)
{
	bpf_rcu_read_lock();
	bpf_task_from_pid(1);
	return 0;
}

SEC("tc")
REJECT("unmatched attempt to enable preemption (kernel function bpf_preempt_enable)") int sections_on_two_paths(struct __sk_buff *skb)
{
	if (skb->len)
		bpf_preempt_disable();
	else
		bpf_rcu_read_lock();
	bpf_preempt_enable();
	return 0;
}

SEC("tc")
ACCEPT int paths_that_meet_in_different_sections(struct __sk_buff *skb)
{
	int held = 0;

	if (skb->len) {
		bpf_preempt_disable();
		held = 1;
	}
	bpf_get_prandom_u32();
	if (held)
		bpf_preempt_enable();
	return 0;
}

SEC("tc")
ACCEPT int section_in_a_loop(struct __sk_buff *skb)
{
	int i;

	for (i = 0; i < 4; i++) {
		bpf_preempt_disable();
		global[0] += i;
		bpf_preempt_enable();
	}
	return 0;
}
