/* Variables of which each CPU has its own, of the kernel: objects and numbers. */
#include "objects.h"

struct task_struct;
struct rq {
	int cpu;
	struct task_struct *curr;
} __attribute__((preserve_access_index));

extern struct rq runqueues __ksym;
extern const int cpu_number __ksym;
extern struct task_struct *const current_task __ksym;

SEC("tp_btf/sched_switch")
ACCEPT int own_number(u64 *ctx)
{
	return *(int *)bpf_this_cpu_ptr(&cpu_number);
}

SEC("tp_btf/sched_switch")
ACCEPT int own_object(u64 *ctx)
{
	struct rq *queue = bpf_this_cpu_ptr(&runqueues);
	return queue->cpu;
}

SEC("tp_btf/sched_switch")
REJECT("R0 invalid mem access 'ptr_or_null_'")
int other_object(u64 *ctx)
{
	struct rq *queue = bpf_per_cpu_ptr(&runqueues, ctx[0] & 7);
	return queue->cpu;
}

SEC("tp_btf/sched_switch")
ACCEPT int other_object_checked(u64 *ctx)
{
	struct rq *queue = bpf_per_cpu_ptr(&runqueues, ctx[0] & 7);
	return queue ? queue->cpu : 0;
}

SEC("tp_btf/sched_switch")
ACCEPT int other_number(u64 *ctx)
{
	const int *number = bpf_per_cpu_ptr(&cpu_number, 1);
	return number ? *number : 0;
}

SEC("tp_btf/sched_switch")
REJECT("R0 cannot write into rdonly_mem")
int writes_number(u64 *ctx)
{
	int *number = bpf_this_cpu_ptr(&cpu_number);
	*number = 1;
	return 0;
}

SEC("tp_btf/sched_switch")
REJECT("only read is supported")
int writes_object(u64 *ctx)
{
	struct rq *queue = bpf_this_cpu_ptr(&runqueues);
	queue->cpu = 1;
	return 0;
}

SEC("tp_btf/sched_switch")
REJECT("R1 is ptr_rq access percpu memory: off=0")
int reads_without(u64 *ctx)
{
	return *(volatile int *)&runqueues;
}

SEC("tp_btf/sched_switch")
ACCEPT int own_pointer(u64 *ctx)
{
	return *(u64 *)bpf_this_cpu_ptr(&current_task) != 0;
}
