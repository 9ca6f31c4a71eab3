/* What RCU protects: pointers read inside of a read section, and what is left of them behind it. */
#include "on_stack.h"

struct css_set {
	int count;
} CORE;
/* The kernel's name, with the members that are looked at. */
struct task_struct___more {
	int pid;
	struct task_struct *real_parent;
	struct task_struct *last_wakee;
	struct css_set *cgroups;
} CORE;

#define MORE(task) ((struct task_struct___more *)(task))

int sum;

struct kept {
	struct task_struct __attribute__((btf_type_tag("kptr"))) * task;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct kept);
} values SEC(".maps");

SEC("syscall")
ACCEPT int parent_inside(void *ctx)
{
	struct task_struct *task = bpf_task_from_pid(1), *parent;

	if (!task)
		return 0;
	bpf_rcu_read_lock();
	parent = MORE(task)->real_parent;
	sum = parent->pid;
	bpf_rcu_read_unlock();
	bpf_task_release(task);
	return 0;
}

SEC("syscall")
ACCEPT int parent_outside(void *ctx)
{
	struct task_struct *task = bpf_task_from_pid(1), *parent;

	if (!task)
		return 0;
	parent = MORE(task)->real_parent;
	sum = parent->pid;
	bpf_task_release(task);
	return 0;
}

SEC("syscall")
ACCEPT int parent_after(void *ctx)
{
	struct task_struct *task = bpf_task_from_pid(1), *parent;

	if (!task)
		return 0;
	bpf_rcu_read_lock();
	parent = MORE(task)->real_parent;
	bpf_rcu_read_unlock();
	sum = parent->pid;
	bpf_task_release(task);
	return 0;
}

SEC("syscall")
ACCEPT int parent_acquired_inside(void *ctx)
{
	struct task_struct *task = bpf_task_from_pid(1), *parent;

	if (!task)
		return 0;
	bpf_rcu_read_lock();
	parent = MORE(task)->real_parent;
	parent = bpf_task_acquire(parent);
	bpf_rcu_read_unlock();
	bpf_task_release(task);
	if (parent)
		bpf_task_release(parent);
	return 0;
}

SEC("syscall")
ACCEPT int parent_checked_and_acquired_inside(void *ctx)
{
	struct task_struct *task = bpf_task_from_pid(1), *parent;

	if (!task)
		return 0;
	bpf_rcu_read_lock();
	parent = MORE(task)->real_parent;
	if (parent)
		parent = bpf_task_acquire(parent);
	bpf_rcu_read_unlock();
	bpf_task_release(task);
	if (parent)
		bpf_task_release(parent);
	return 0;
}

SEC("syscall")
REJECT("R1 must be a rcu pointer") int parent_acquired_after(void *ctx)
{
	struct task_struct *task = bpf_task_from_pid(1), *parent;

	if (!task)
		return 0;
	bpf_rcu_read_lock();
	parent = MORE(task)->real_parent;
	bpf_rcu_read_unlock();
	parent = bpf_task_acquire(parent);
	bpf_task_release(task);
	if (parent)
		bpf_task_release(parent);
	return 0;
}

SEC("syscall")
REJECT("R1 must be a rcu pointer") int parent_acquired_in_the_next_section(void *ctx)
{
	struct task_struct *task = bpf_task_from_pid(1), *parent;

	if (!task)
		return 0;
	bpf_rcu_read_lock();
	parent = MORE(task)->real_parent;
	bpf_rcu_read_unlock();
	bpf_rcu_read_lock();
	parent = bpf_task_acquire(parent);
	bpf_rcu_read_unlock();
	bpf_task_release(task);
	if (parent)
		bpf_task_release(parent);
	return 0;
}

SEC("syscall")
REJECT("R1 must be a rcu pointer") int unprotected_member_acquired(void *ctx)
{
	struct task_struct *task = bpf_task_from_pid(1), *wakee;

	if (!task)
		return 0;
	bpf_rcu_read_lock();
	wakee = MORE(task)->last_wakee;
	if (wakee) {
		wakee = bpf_task_acquire(wakee);
		if (wakee)
			bpf_task_release(wakee);
	}
	bpf_rcu_read_unlock();
	bpf_task_release(task);
	return 0;
}

SEC("syscall")
ACCEPT int grandparent(void *ctx)
{
	struct task_struct *task = bpf_task_from_pid(1), *parent;

	if (!task)
		return 0;
	bpf_rcu_read_lock();
	parent = MORE(task)->real_parent;
	parent = MORE(parent)->real_parent;
	sum = parent->pid;
	bpf_rcu_read_unlock();
	bpf_task_release(task);
	return 0;
}

SEC("raw_tp")
REJECT("calling kernel function bpf_task_from_pid is not allowed") int parent_where_nothing_sleeps(void *ctx)
{
	struct task_struct *task = bpf_task_from_pid(1), *parent;

	if (!task)
		return 0;
	parent = MORE(task)->real_parent;
	sum = parent->pid;
	bpf_task_release(task);
	return 0;
}

SEC("tc")
ACCEPT int parent_acquired_where_nothing_sleeps(struct __sk_buff *skb)
{
	struct task_struct *task = bpf_task_from_pid(1), *parent;

	if (!task)
		return 0;
	parent = MORE(task)->real_parent;
	bpf_task_release(task);
	parent = bpf_task_acquire(parent);
	if (parent)
		bpf_task_release(parent);
	return 0;
}

SEC("syscall")
ACCEPT int kept_one_inside(void *ctx)
{
	u32 key = 0;
	struct kept *value = bpf_map_lookup_elem(&values, &key);
	struct task_struct *task;

	if (!value)
		return 0;
	bpf_rcu_read_lock();
	task = value->task;
	if (task)
		sum = task->pid;
	bpf_rcu_read_unlock();
	return 0;
}

SEC("syscall")
REJECT("R1 invalid mem access 'rcu_ptr_or_null_'") int kept_one_unchecked(void *ctx)
{
	u32 key = 0;
	struct kept *value = bpf_map_lookup_elem(&values, &key);
	struct task_struct *task;

	if (!value)
		return 0;
	bpf_rcu_read_lock();
	task = value->task;
	sum = task->pid;
	bpf_rcu_read_unlock();
	return 0;
}

SEC("syscall")
ACCEPT int kept_one_outside(void *ctx)
{
	u32 key = 0;
	struct kept *value = bpf_map_lookup_elem(&values, &key);
	struct task_struct *task;

	if (!value)
		return 0;
	task = value->task;
	if (task)
		sum = task->pid;
	return 0;
}

SEC("syscall")
REJECT("R1 must be a rcu pointer") int kept_one_acquired_outside(void *ctx)
{
	u32 key = 0;
	struct kept *value = bpf_map_lookup_elem(&values, &key);
	struct task_struct *task;

	if (!value)
		return 0;
	task = value->task;
	if (task) {
		task = bpf_task_acquire(task);
		if (task)
			bpf_task_release(task);
	}
	return 0;
}

SEC("syscall")
ACCEPT int kept_one_checked_after(void *ctx)
{
	u32 key = 0;
	struct kept *value = bpf_map_lookup_elem(&values, &key);
	struct task_struct *task;

	if (!value)
		return 0;
	bpf_rcu_read_lock();
	task = value->task;
	bpf_rcu_read_unlock();
	if (task)
		sum = task->pid;
	return 0;
}

SEC("syscall")
ACCEPT int kept_one_acquired(void *ctx)
{
	u32 key = 0;
	struct kept *value = bpf_map_lookup_elem(&values, &key);
	struct task_struct *task;

	if (!value)
		return 0;
	bpf_rcu_read_lock();
	task = value->task;
	if (task)
		task = bpf_task_acquire(task);
	bpf_rcu_read_unlock();
	if (task)
		bpf_task_release(task);
	return 0;
}

SEC("syscall")
REJECT("R1 must be a rcu pointer") int spilled_over_the_end(void *ctx)
{
	struct task_struct *task = bpf_task_from_pid(1);
	struct task_struct *volatile parent;

	if (!task)
		return 0;
	bpf_rcu_read_lock();
	parent = MORE(task)->real_parent;
	bpf_rcu_read_unlock();
	bpf_task_acquire(parent);
	bpf_task_release(task);
	return 0;
}

static __noinline struct task_struct *parent_of(struct task_struct *task)
{
	return MORE(task)->real_parent;
}

SEC("syscall")
ACCEPT int parent_from_a_function(void *ctx)
{
	struct task_struct *task = bpf_task_from_pid(1), *parent;

	if (!task)
		return 0;
	bpf_rcu_read_lock();
	parent = parent_of(task);
	sum = parent->pid;
	bpf_rcu_read_unlock();
	bpf_task_release(task);
	return 0;
}

SEC("syscall")
ACCEPT int css_of_a_task(void *ctx)
{
	struct task_struct *task = bpf_task_from_pid(1);
	struct css_set *set;

	if (!task)
		return 0;
	bpf_rcu_read_lock();
	set = MORE(task)->cgroups;
	bpf_rcu_read_unlock();
	sum = set != 0;
	bpf_task_release(task);
	return 0;
}
