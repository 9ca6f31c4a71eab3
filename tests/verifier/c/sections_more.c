/* Sections that meet: several kinds at once, interrupt flags of locks, what calls and callbacks do inside. */
#include "on_stack.h"

struct bpf_res_spin_lock {
	u32 val;
};

extern int bpf_res_spin_lock(struct bpf_res_spin_lock *lock) __ksym;
extern void bpf_res_spin_unlock(struct bpf_res_spin_lock *lock) __ksym;
extern int bpf_res_spin_lock_irqsave(struct bpf_res_spin_lock *lock, unsigned long *flags__irq_flag) __ksym;
extern void bpf_res_spin_unlock_irqrestore(struct bpf_res_spin_lock *lock, unsigned long *flags__irq_flag) __ksym;

struct locked {
	struct bpf_res_spin_lock lock;
	u32 value;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct locked);
} values SEC(".maps");

static struct locked *there(void)
{
	u32 key = 0;

	return bpf_map_lookup_elem(&values, &key);
}

SEC("tc")
ACCEPT int lock_with_flags(struct __sk_buff *skb)
{
	struct locked *value = there();
	unsigned long flags;

	if (!value)
		return 0;
	if (bpf_res_spin_lock_irqsave(&value->lock, &flags))
		return 0;
	value->value++;
	bpf_res_spin_unlock_irqrestore(&value->lock, &flags);
	return 0;
}

SEC("tc")
REJECT("BPF_EXIT instruction in main prog cannot be used inside bpf_spin_lock-ed region") int lock_with_flags_kept(struct __sk_buff *skb)
{
	struct locked *value = there();
	unsigned long flags;

	if (!value)
		return 0;
	if (bpf_res_spin_lock_irqsave(&value->lock, &flags))
		return 0;
	return 0;
}

SEC("tc")
REJECT("function calls are not allowed while holding a lock") int flags_of_a_lock_restored_alone(struct __sk_buff *skb)
{
	struct locked *value = there();
	unsigned long flags;

	if (!value)
		return 0;
	if (bpf_res_spin_lock_irqsave(&value->lock, &flags))
		return 0;
	bpf_local_irq_restore(&flags);
	return 0;
}

SEC("tc")
REJECT("irq flag acquired by native kfuncs cannot be restored with lock kfuncs") int saved_flags_given_to_a_lock(struct __sk_buff *skb)
{
	struct locked *value = there();
	unsigned long flags, saved;

	if (!value)
		return 0;
	bpf_local_irq_save(&saved);
	if (bpf_res_spin_lock_irqsave(&value->lock, &flags)) {
		bpf_local_irq_restore(&saved);
		return 0;
	}
	bpf_res_spin_unlock_irqrestore(&value->lock, &saved);
	bpf_local_irq_restore(&flags);
	return 0;
}

SEC("tc")
REJECT("bpf_res_spin_unlock of different lock") int plain_lock_given_flags(struct __sk_buff *skb)
{
	struct locked *value = there();
	unsigned long flags;

	if (!value)
		return 0;
	if (bpf_res_spin_lock(&value->lock))
		return 0;
	bpf_res_spin_unlock_irqrestore(&value->lock, &flags);
	return 0;
}

SEC("tc")
ACCEPT int lock_inside_saved_flags(struct __sk_buff *skb)
{
	struct locked *value = there();
	unsigned long flags, saved;

	if (!value)
		return 0;
	bpf_local_irq_save(&saved);
	if (!bpf_res_spin_lock_irqsave(&value->lock, &flags))
		bpf_res_spin_unlock_irqrestore(&value->lock, &flags);
	bpf_local_irq_restore(&saved);
	return 0;
}

SEC("tc")
REJECT("function calls are not allowed while holding a lock") int flags_saved_under_a_lock(struct __sk_buff *skb)
{
	struct locked *value = there();
	unsigned long saved;

	if (!value)
		return 0;
	if (bpf_res_spin_lock(&value->lock))
		return 0;
	bpf_local_irq_save(&saved);
	bpf_local_irq_restore(&saved);
	bpf_res_spin_unlock(&value->lock);
	return 0;
}

SEC("tc")
REJECT("function calls are not allowed while holding a lock") int preemption_disabled_under_a_lock(struct __sk_buff *skb)
{
	struct locked *value = there();

	if (!value)
		return 0;
	if (bpf_res_spin_lock(&value->lock))
		return 0;
	bpf_preempt_disable();
	bpf_preempt_enable();
	bpf_res_spin_unlock(&value->lock);
	return 0;
}

SEC("tc")
REJECT("BPF_EXIT instruction in main prog cannot be used inside bpf_rcu_read_lock-ed region") int rcu_and_preemption_kept(struct __sk_buff *skb)
{
	bpf_preempt_disable();
	bpf_rcu_read_lock();
	return 0;
}

SEC("tc")
REJECT("BPF_LD_[ABS|IND] cannot be used inside bpf_rcu_read_lock-ed region") int preemption_and_rcu_kept_by_a_jump(struct __sk_buff *skb)
{
	u64 got;

	bpf_preempt_disable();
	bpf_rcu_read_lock();
	asm volatile("r6 = %1; r0 = *(u8 *)skb[3]; %0 = r0" : "=r"(got) : "r"(skb) : "r0", "r1", "r2", "r3", "r4", "r5", "r6");
	bpf_rcu_read_unlock();
	bpf_preempt_enable();
	return got;
}

SEC("syscall")
REJECT("arg#0 expected pointer to an iterator on stack") int rcu_checked_before_arguments(void *ctx)
{
	bpf_iter_task_new((void *)8, 0, 0);
	return 0;
}

SEC("syscall")
REJECT("arg#0 arg#1 memory, len pair leads to invalid memory access") int sleeping_checked_before_arguments(void *ctx)
{
	bpf_rcu_read_lock();
	bpf_copy_from_user_str((void *)8, 8, 0, 0);
	bpf_rcu_read_unlock();
	return 0;
}

SEC("syscall")
REJECT("sleepable helper bpf_copy_from_user#148 in rcu_read_lock region") int sleeping_helper_checked_before_arguments(void *ctx)
{
	bpf_rcu_read_lock();
	bpf_copy_from_user((void *)8, 8, 0);
	bpf_rcu_read_unlock();
	return 0;
}

SEC("syscall")
REJECT("sleepable helper bpf_copy_from_user#148 in rcu_read_lock region") int rcu_and_preemption_and_sleeping(void *ctx)
{
	char to[8];

	bpf_preempt_disable();
	bpf_rcu_read_lock();
	bpf_copy_from_user(to, sizeof(to), 0);
	bpf_rcu_read_unlock();
	bpf_preempt_enable();
	return 0;
}

SEC("syscall")
ACCEPT int locked_in_one_function_unlocked_in_another(void *ctx)
{
	bpf_rcu_read_lock();
	if (bpf_get_prandom_u32() & 1) {
		bpf_rcu_read_unlock();
		return 1;
	}
	bpf_rcu_read_unlock();
	return 0;
}

static __noinline int in_preempt(int a)
{
	bpf_preempt_disable();
	a++;
	bpf_preempt_enable();
	return a;
}

SEC("tc")
ACCEPT int balanced_in_a_function(struct __sk_buff *skb)
{
	return in_preempt(1) + in_preempt(2);
}

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__type(key, u32);
	__type(value, u32);
} hash SEC(".maps");

static long each(void *map, u32 *key, u32 *value, void *data)
{
	unsigned long flags;

	bpf_local_irq_save(&flags);
	*value = 1;
	bpf_local_irq_restore(&flags);
	return 0;
}

SEC("tc")
ACCEPT int flags_in_a_callback(struct __sk_buff *skb)
{
	bpf_for_each_map_elem(&hash, each, 0, 0);
	return 0;
}

static long each_kept(void *map, u32 *key, u32 *value, void *data)
{
	unsigned long flags;

	bpf_local_irq_save(&flags);
	return 1;
}

SEC("tc")
REJECT("BPF_EXIT instruction in main prog cannot be used inside bpf_local_irq_save-ed region") int flags_kept_in_a_callback(struct __sk_buff *skb)
{
	bpf_for_each_map_elem(&hash, each_kept, 0, 0);
	return 0;
}

static long each_restores(void *map, u32 *key, u32 *value, unsigned long *flags)
{
	bpf_local_irq_restore(flags);
	return 1;
}

SEC("tc")
REJECT("BPF_EXIT instruction in main prog cannot be used inside bpf_local_irq_save-ed region") int flags_restored_in_a_callback(struct __sk_buff *skb)
{
	unsigned long flags;

	bpf_local_irq_save(&flags);
	bpf_for_each_map_elem(&hash, each_restores, &flags, 0);
	return 0;
}

SEC("tc")
ACCEPT int preemption_disabled_in_a_long_loop(struct __sk_buff *skb)
{
	int i;

	for (i = 0; i < 100; i++) {
		bpf_preempt_disable();
		if (skb->len == i) {
			bpf_preempt_enable();
			break;
		}
		bpf_preempt_enable();
	}
	return 0;
}

SEC("tc")
ACCEPT int deeper_each_round(struct __sk_buff *skb)
{
	int i;

	for (i = 0; i < 5; i++)
		bpf_preempt_disable();
	for (i = 0; i < 5; i++)
		bpf_preempt_enable();
	return 0;
}

SEC("tc")
ACCEPT int flags_over_a_dynptr(struct __sk_buff *skb)
{
	union {
		struct bpf_dynptr packet;
		unsigned long flags;
	} either;

	bpf_dynptr_from_skb(skb, 0, &either.packet);
	bpf_local_irq_save(&either.flags);
	bpf_local_irq_restore(&either.flags);
	return 0;
}

SEC("tc")
REJECT("expected an initialized irq flag as arg#0") int iterator_over_flags(struct __sk_buff *skb)
{
	union {
		struct bpf_iter_num it;
		unsigned long flags;
	} either;

	bpf_local_irq_save(&either.flags);
	bpf_iter_num_new(&either.it, 0, 1);
	bpf_local_irq_restore(&either.flags);
	return 0;
}

SEC("tc")
REJECT("BPF_EXIT instruction in main prog would lead to reference leak") int flags_over_an_iterator(struct __sk_buff *skb)
{
	union {
		struct bpf_iter_num it;
		unsigned long flags;
	} either;

	bpf_iter_num_new(&either.it, 0, 1);
	bpf_local_irq_save(&either.flags);
	bpf_local_irq_restore(&either.flags);
	return 0;
}

SEC("tc")
REJECT("expected an initialized iter_num as arg #0") int flags_as_an_iterator(struct __sk_buff *skb)
{
	unsigned long flags;

	bpf_local_irq_save(&flags);
	bpf_iter_num_next((void *)&flags);
	bpf_local_irq_restore(&flags);
	return 0;
}

SEC("tc")
REJECT("Expected an initialized dynptr as arg #0") int iterator_as_a_dynptr(struct __sk_buff *skb)
{
	struct bpf_iter_bits it;
	u64 words[1] = {};

	bpf_iter_bits_new(&it, words, 1);
	bpf_dynptr_size((void *)&it);
	bpf_iter_bits_destroy(&it);
	return 0;
}
