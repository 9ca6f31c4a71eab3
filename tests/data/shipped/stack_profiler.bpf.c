// SPDX-License-Identifier: Apache-2.0
// Where the time goes: samples of the stacks of what runs, and the time that threads spend waiting, by the stack that
// they wait at.
#include "kernel.h"

#define MAX_ENTRIES 16384
#define DEPTH 64
#define PF_KTHREAD 0x00200000

struct key {
	__u32 process;
	__u32 thread;
	__s64 user_stack;
	__s64 kernel_stack;
	char command[16];
};

struct wait {
	__u64 since;
	struct key key;
};

struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(max_entries, MAX_ENTRIES);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, DEPTH * sizeof(__u64));
} stacks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, MAX_ENTRIES);
	__type(key, struct key);
	__type(value, __u64);
} samples SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, MAX_ENTRIES);
	__type(key, __u32);
	__type(value, struct wait);
} waiting SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_ENTRIES);
	__type(key, struct key);
	__type(value, __u64);
} blocked SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64[DEPTH]);
} raw_stack SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, 4);
	__uint(value_size, 4);
} counters SEC(".maps");

const volatile __u32 target_process;
const volatile _Bool with_idle, only_user, only_kernel;
const volatile __u64 least_wait = 1000, most_wait = ~0ULL;

__u64 lost;

SEC("perf_event")
int sample(struct bpf_perf_event_data *ctx)
{
	__u64 both = bpf_get_current_pid_tgid(), zero = 0, *count;
	struct key key = {};

	if (!with_idle && !(__u32)both)
		return 0;
	if (target_process && both >> 32 != target_process)
		return 0;
	key.process = both >> 32;
	key.thread = both;
	bpf_get_current_comm(key.command, sizeof(key.command));
	key.kernel_stack = only_user ? -1 : bpf_get_stackid(ctx, &stacks, BPF_F_FAST_STACK_CMP);
	key.user_stack = only_kernel ? -1 : bpf_get_stackid(ctx, &stacks, BPF_F_USER_STACK | BPF_F_FAST_STACK_CMP);
	if (key.kernel_stack < 0 && key.user_stack < 0 && !only_kernel && !only_user) {
		__sync_fetch_and_add(&lost, 1);
		return 0;
	}
	count = bpf_map_lookup_elem(&samples, &key);
	if (!count) {
		bpf_map_update_elem(&samples, &key, &zero, BPF_NOEXIST);
		count = bpf_map_lookup_elem(&samples, &key);
		if (!count)
			return 0;
	}
	*count += ctx->sample_period ? ctx->sample_period : 1;
	return 0;
}

static __always_inline _Bool wanted(struct task_struct *task)
{
	if (BPF_CORE_READ(task, flags) & PF_KTHREAD && only_user)
		return 0;
	return !target_process || BPF_CORE_READ(task, tgid) == target_process;
}

SEC("raw_tp/sched_switch")
int switched(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *from = (void *)ctx->args[1], *to = (void *)ctx->args[2];
	struct wait *wait, fresh = {};
	__u64 now = bpf_ktime_get_ns(), spent, *sum;
	__u32 thread;

	thread = BPF_CORE_READ(from, pid);
	if (thread && wanted(from) && BPF_CORE_READ(from, __state)) {
		fresh.since = now;
		fresh.key.process = BPF_CORE_READ(from, tgid);
		fresh.key.thread = thread;
		fresh.key.kernel_stack = bpf_get_stackid(ctx, &stacks, BPF_F_REUSE_STACKID);
		fresh.key.user_stack = bpf_get_stackid(ctx, &stacks, BPF_F_USER_STACK);
		BPF_CORE_READ_STR_INTO(&fresh.key.command, from, comm);
		bpf_map_update_elem(&waiting, &thread, &fresh, BPF_ANY);
	}
	thread = BPF_CORE_READ(to, pid);
	wait = bpf_map_lookup_elem(&waiting, &thread);
	if (!wait)
		return 0;
	spent = now - wait->since;
	if ((__s64)spent >= 0 && spent / 1000 >= least_wait && spent / 1000 <= most_wait) {
		sum = bpf_map_lookup_elem(&blocked, &wait->key);
		if (sum)
			__sync_fetch_and_add(sum, spent);
		else
			bpf_map_update_elem(&blocked, &wait->key, &spent, BPF_NOEXIST);
	}
	bpf_map_delete_elem(&waiting, &thread);
	return 0;
}

/* The stack itself, for one function of interest. */
SEC("kprobe/__alloc_pages_noprof")
int BPF_KPROBE(page_allocated, unsigned int flags, unsigned int order)
{
	struct bpf_perf_event_value value = {};
	__u32 zero = 0;
	__u64 *stack;
	long size;

	stack = bpf_map_lookup_elem(&raw_stack, &zero);
	if (!stack || order > 10)
		return 0;
	size = bpf_get_stack(ctx, stack, sizeof(__u64[DEPTH]), 0);
	if (size < (long)sizeof(__u64))
		return 0;
	bpf_perf_event_read_value(&counters, BPF_F_CURRENT_CPU, &value, sizeof(value));
	for (int i = 0; i < DEPTH; i++) {
		if (i >= size / 8)
			break;
		if (!stack[i])
			lost++;
	}
	bpf_perf_event_output(ctx, &counters, BPF_F_CURRENT_CPU, stack, size & 511);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
