/* Iterators that are given a kernel object, or give one. */
#include "on_stack.h"

int sum;

SEC("syscall")
ACCEPT int threads_of_a_task(void *ctx)
{
	struct bpf_iter_task it;
	struct task_struct *task = bpf_get_current_task_btf();

	bpf_rcu_read_lock();
	bpf_iter_task_new(&it, task, 1);
	while ((task = bpf_iter_task_next(&it)))
		sum += task->pid;
	bpf_iter_task_destroy(&it);
	bpf_rcu_read_unlock();
	return 0;
}

SEC("raw_tp")
ACCEPT int areas(void *ctx)
{
	struct bpf_iter_task_vma it;
	struct vm_area_struct *area;

	bpf_iter_task_vma_new(&it, bpf_get_current_task_btf(), 0);
	while ((area = bpf_iter_task_vma_next(&it)))
		sum += area->vm_start;
	bpf_iter_task_vma_destroy(&it);
	return 0;
}

SEC("raw_tp")
REJECT("R0 invalid mem access 'scalar'") int areas_not_checked(void *ctx)
{
	struct bpf_iter_task_vma it;

	bpf_iter_task_vma_new(&it, bpf_get_current_task_btf(), 0);
	sum += bpf_iter_task_vma_next(&it)->vm_start;
	bpf_iter_task_vma_destroy(&it);
	return 0;
}

