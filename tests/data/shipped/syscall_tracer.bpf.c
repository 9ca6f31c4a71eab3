// SPDX-License-Identifier: Apache-2.0
// Traces system calls: who asked for what, how long it took, what came of it, with the names of the files opened.
#include "kernel.h"

#define MAX_CALLS 512
#define SLOTS 27
#define PATH 256

struct started {
	__u64 time;
	__u32 number;
	__u32 unused;
	unsigned long args[3];
};

struct latencies {
	__u32 slots[SLOTS];
	__u32 failures;
	__u64 total;
};

struct event {
	__u64 time;
	__u64 duration;
	__u32 process;
	__u32 thread;
	__u32 parent;
	__u32 user;
	__u64 cgroup;
	__u32 number;
	__s32 result;
	char command[16];
	char parent_command[16];
	char path[PATH];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 10240);
	__type(key, __u32);
	__type(value, struct started);
} started SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_CALLS);
	__type(key, __u32);
	__type(value, struct latencies);
} latencies SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct event);
} scratch SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_CGROUP_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} only_cgroup SEC(".maps");

const volatile __u32 only_process;
const volatile __u32 only_user = 0xffffffff;
const volatile _Bool filter_cgroup;
const volatile __u64 shortest = 1000;
const volatile char prefix[16] = "";

static __always_inline _Bool wanted(void)
{
	__u64 both = bpf_get_current_pid_tgid();

	if (only_process && both >> 32 != only_process)
		return 0;
	if (only_user != 0xffffffff && (__u32)bpf_get_current_uid_gid() != only_user)
		return 0;
	if (filter_cgroup && bpf_current_task_under_cgroup(&only_cgroup, 0) != 1)
		return 0;
	return 1;
}

static __always_inline __u32 log2(__u64 value)
{
	__u32 result = 0;

	for (__u32 shift = 32; shift; shift /= 2) {
		if (value >> shift) {
			value >>= shift;
			result += shift;
		}
	}
	return result;
}

SEC("tracepoint/raw_syscalls/sys_enter")
int enter(struct trace_event_raw_sys_enter *ctx)
{
	__u32 thread = bpf_get_current_pid_tgid();
	struct started start = {};

	if (!wanted())
		return 0;
	start.time = bpf_ktime_get_ns();
	start.number = ctx->id;
	start.args[0] = ctx->args[0];
	start.args[1] = ctx->args[1];
	start.args[2] = ctx->args[2];
	bpf_map_update_elem(&started, &thread, &start, BPF_ANY);
	return 0;
}

static __always_inline void fill(struct event *event, struct started *start, long result)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	__u64 both = bpf_get_current_pid_tgid();

	event->process = both >> 32;
	event->thread = both;
	event->user = bpf_get_current_uid_gid();
	event->cgroup = bpf_get_current_cgroup_id();
	event->parent = BPF_CORE_READ(task, real_parent, tgid);
	event->number = start->number;
	event->result = result;
	bpf_get_current_comm(event->command, sizeof(event->command));
	BPF_CORE_READ_STR_INTO(&event->parent_command, task, real_parent, comm);
}

static __always_inline _Bool starts_with(const char *text)
{
	for (int i = 0; i < 16; i++) {
		if (!prefix[i])
			return 1;
		if (prefix[i] != text[i])
			return 0;
	}
	return 1;
}

SEC("raw_tp/sys_exit")
int leave(struct bpf_raw_tracepoint_args *ctx)
{
	__u32 zero = 0, thread = bpf_get_current_pid_tgid(), slot, size;
	struct latencies *latency, none = {};
	struct started *start;
	struct event *event;
	long result = ctx->args[1];
	__u64 duration;
	long length;

	start = bpf_map_lookup_elem(&started, &thread);
	if (!start)
		return 0;
	duration = bpf_ktime_get_ns() - start->time;
	latency = bpf_map_lookup_elem(&latencies, &start->number);
	if (!latency) {
		bpf_map_update_elem(&latencies, &start->number, &none, BPF_NOEXIST);
		latency = bpf_map_lookup_elem(&latencies, &start->number);
	}
	if (latency) {
		slot = log2(duration);
		if (slot >= SLOTS)
			slot = SLOTS - 1;
		__sync_fetch_and_add(&latency->slots[slot], 1);
		__sync_fetch_and_add(&latency->total, duration);
		if (result < 0)
			__sync_fetch_and_add(&latency->failures, 1);
	}
	if (duration < shortest)
		goto out;
	event = bpf_map_lookup_elem(&scratch, &zero);
	if (!event)
		goto out;
	fill(event, start, result);
	event->time = start->time;
	event->duration = duration;
	size = offsetof(struct event, path);
	/* openat, execve, unlinkat */
	if (start->number == 257 || start->number == 59 || start->number == 263) {
		int which = start->number != 59;

		length = bpf_probe_read_user_str(event->path, PATH, (void *)start->args[which]);
		if (length < 0 || !starts_with(event->path))
			goto out;
		size += length & (PATH - 1);
	}
	bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, event, size);
out:
	bpf_map_delete_elem(&started, &thread);
	return 0;
}

SEC("kprobe/do_exit")
int BPF_KPROBE(forget, long code)
{
	__u32 thread = bpf_get_current_pid_tgid();

	if (!code)
		bpf_map_delete_elem(&started, &thread);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
