/* Kernel objects: what may be read of them, how far what was read may be trusted, who may take them. */
#include "expect.h"
#include <bpf/bpf_tracing.h>

#define PLACED __attribute__((preserve_access_index))

struct cpumask;
struct cgroup;

struct css_set {
	struct cgroup *dfl_cgrp;
} PLACED;

struct mm_struct {
	struct file *exe_file;
} PLACED;

struct task_struct {
	int pid;
	char comm[16];
	struct mm_struct *mm;
	struct task_struct *real_parent;
	struct task_struct *parent;
	struct css_set *cgroups;
	const struct cpumask *cpus_ptr;
} PLACED;

struct task_struct *bpf_task_acquire(struct task_struct *p) __ksym;
struct task_struct *bpf_task_from_pid(int pid) __ksym;
void bpf_task_release(struct task_struct *p) __ksym;
struct cgroup *bpf_cgroup_acquire(struct cgroup *cgrp) __ksym;
void bpf_cgroup_release(struct cgroup *cgrp) __ksym;
unsigned int bpf_cpumask_first(const struct cpumask *cpumask) __ksym;
void bpf_rcu_read_lock(void) __ksym;
void bpf_rcu_read_unlock(void) __ksym;
void *bpf_rdonly_cast(const void *obj, unsigned int btf_id) __ksym;

SEC("tp_btf/sched_switch")
ACCEPT int follow_pointers(unsigned long long *ctx)
{
	struct task_struct *task = (void *)ctx[1];

	return task->real_parent->parent->pid & 0;
}

SEC("tp_btf/sched_switch")
REJECT("only read is supported")
int write_to_task(unsigned long long *ctx)
{
	struct task_struct *task = (void *)ctx[1];

	task->pid = 1;
	return 0;
}

SEC("tp_btf/sched_switch")
REJECT("R1 is ptr_task_struct invalid negative access: off=-8")
int before_the_task(unsigned long long *ctx)
{
	int found;

	asm volatile("r1 = *(u64 *)(%[ctx] + 8); %[found] = *(u64 *)(r1 - 8)" : [found] "=r"(found) : [ctx] "r"(ctx) : "r1");
	return found & 0;
}

SEC("tp_btf/sched_switch")
ACCEPT int acquire_and_release(unsigned long long *ctx)
{
	struct task_struct *task = bpf_task_acquire((void *)ctx[1]);

	if (task)
		bpf_task_release(task);
	return 0;
}

SEC("tp_btf/sched_switch")
REJECT("BPF_EXIT instruction in main prog would lead to reference leak")
int acquire_and_forget(unsigned long long *ctx)
{
	struct task_struct *task = bpf_task_acquire((void *)ctx[1]);

	return task ? 0 : 0;
}

SEC("tp_btf/sched_switch")
REJECT("Possibly NULL pointer passed to trusted arg0")
int release_without_looking(unsigned long long *ctx)
{
	struct task_struct *task = bpf_task_acquire((void *)ctx[1]);

	bpf_task_release(task);
	return 0;
}

SEC("tp_btf/sched_switch")
REJECT("release kernel function bpf_task_release expects refcounted PTR_TO_BTF_ID")
int release_what_was_never_acquired(unsigned long long *ctx)
{
	bpf_task_release((void *)ctx[1]);
	return 0;
}

SEC("tp_btf/sched_switch")
REJECT("R1 must be a rcu pointer")
int acquire_what_nothing_protects(unsigned long long *ctx)
{
	struct task_struct *task = (void *)ctx[1];
	struct task_struct *other = bpf_task_acquire(task->parent);

	if (other)
		bpf_task_release(other);
	return 0;
}

SEC("tp_btf/sched_switch")
ACCEPT int acquire_what_rcu_protects(unsigned long long *ctx)
{
	struct task_struct *task = (void *)ctx[1];
	struct task_struct *other = bpf_task_acquire(task->real_parent);

	if (other)
		bpf_task_release(other);
	return 0;
}

SEC("iter.s/task")
REJECT("R1 must be a rcu pointer")
int acquire_outside_the_section(unsigned long long *ctx)
{
	struct task_struct *task = (void *)ctx[1];
	struct task_struct *other;

	if (!task)
		return 0;
	other = bpf_task_acquire(task->real_parent);
	if (other)
		bpf_task_release(other);
	return 0;
}

SEC("iter.s/task")
ACCEPT int acquire_inside_the_section(unsigned long long *ctx)
{
	struct task_struct *task = (void *)ctx[1];
	struct task_struct *other;

	if (!task)
		return 0;
	bpf_rcu_read_lock();
	other = bpf_task_acquire(task->real_parent);
	bpf_rcu_read_unlock();
	if (other)
		bpf_task_release(other);
	return 0;
}

SEC("iter.s/task")
REJECT("R1 must be a rcu pointer")
int use_after_the_section(unsigned long long *ctx)
{
	struct task_struct *task = (void *)ctx[1];
	struct cgroup *found;

	if (!task)
		return 0;
	bpf_rcu_read_lock();
	found = task->cgroups->dfl_cgrp;
	bpf_rcu_read_unlock();
	found = bpf_cgroup_acquire(found);
	if (found)
		bpf_cgroup_release(found);
	return 0;
}

SEC("tp_btf/sched_switch")
REJECT("kernel function bpf_cpumask_first args#0 expected pointer to STRUCT cpumask but R1 has a pointer to STRUCT task_struct")
int mask_of_a_task(unsigned long long *ctx)
{
	return bpf_cpumask_first((void *)ctx[1]) & 0;
}

SEC("tp_btf/sched_switch")
ACCEPT int first_cpu(unsigned long long *ctx)
{
	struct task_struct *task = (void *)ctx[1];

	return bpf_cpumask_first(task->cpus_ptr) & 0;
}

SEC("tp_btf/sched_switch")
ACCEPT int read_through_a_cast(unsigned long long *ctx)
{
	struct task_struct *task = bpf_rdonly_cast((void *)ctx[1], __builtin_btf_type_id(*(struct task_struct *)0, 1));

	return task->pid & 0;
}

SEC("tp_btf/sched_switch")
REJECT("R1 must be a rcu pointer")
int pass_what_was_cast(unsigned long long *ctx)
{
	struct task_struct *task = bpf_rdonly_cast((void *)ctx[1], __builtin_btf_type_id(*(struct task_struct *)0, 1));

	task = bpf_task_acquire(task);
	if (task)
		bpf_task_release(task);
	return 0;
}

SEC("tp_btf/sched_switch")
REJECT("R0 invalid mem access 'ptr_or_null_'")
int read_what_may_be_null(unsigned long long *ctx)
{
	struct task_struct *task = bpf_task_from_pid(1);
	int pid = *(volatile int *)&task->pid;

	if (task)
		bpf_task_release(task);
	return pid & 0;
}

SEC("tp_btf/sched_switch")
REJECT("R1 is not a scalar")
int a_pointer_as_number(unsigned long long *ctx)
{
	struct task_struct *task = ((struct task_struct *(*)(void *))bpf_task_from_pid)(ctx);

	if (task)
		bpf_task_release(task);
	return 0;
}

SEC("raw_tp/sched_switch")
REJECT("calling kernel function bpf_task_from_pid is not allowed")
int not_from_here(unsigned long long *ctx)
{
	struct task_struct *task = bpf_task_from_pid(1);

	if (task)
		bpf_task_release(task);
	return 0;
}

union bpf_attr;

SEC("tp_btf/sched_switch")
ACCEPT int read_a_union_through_a_cast(unsigned long long *ctx)
{
	int *attr = bpf_rdonly_cast((void *)ctx[1], __builtin_btf_type_id(*(union bpf_attr *)0, 1));

	return *attr & 0;
}

SEC("tp_btf/sched_switch")
REJECT("access beyond struct bpf_attr at off 4096 size 4")
int read_beyond_a_union(unsigned long long *ctx)
{
	volatile int *attr = bpf_rdonly_cast((void *)ctx[1], __builtin_btf_type_id(*(union bpf_attr *)0, 1));

	return attr[1024] & 0;
}

/* Nobody holds the task any more when this is called. */
SEC("lsm/task_free")
REJECT("R1 must be a rcu pointer")
int acquire_what_is_freed(unsigned long long *ctx)
{
	struct task_struct *task = bpf_task_acquire((void *)ctx[0]);

	if (task)
		bpf_task_release(task);
	return 0;
}

SEC("lsm/task_setnice")
ACCEPT int acquire_what_is_held(unsigned long long *ctx)
{
	struct task_struct *task = bpf_task_acquire((void *)ctx[0]);

	if (task)
		bpf_task_release(task);
	return 0;
}
