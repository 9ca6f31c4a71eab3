// SPDX-License-Identifier: Apache-2.0
// What programs write and read through a TLS library, in the clear: arguments are kept at the call, the data is copied
// when it returns, in pieces that fit an event.
#include "kernel.h"

#define PIECE 4096
#define MAX_PIECES 4

struct call {
	__u64 buffer;
	__u64 size_place;
	__u64 since;
	int descriptor;
	__u32 is_extended;
};

struct event {
	__u64 time;
	__u64 delta;
	__u32 process;
	__u32 thread;
	__u32 user;
	__u32 length;
	__u32 offset;
	__u32 direction;
	char command[16];
	__u8 data[PIECE];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 10240);
	__type(key, __u64);
	__type(value, struct call);
} calls SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct event);
} scratch SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, 4);
	__uint(value_size, 4);
} events SEC(".maps");

const volatile __u32 only_process;

static __always_inline int begin(void *buffer, void *size_place)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct call call = {};

	if (only_process && thread >> 32 != only_process)
		return 0;
	call.buffer = (__u64)buffer;
	call.size_place = (__u64)size_place;
	call.since = bpf_ktime_get_ns();
	call.is_extended = size_place != NULL;
	bpf_map_update_elem(&calls, &thread, &call, BPF_ANY);
	return 0;
}

static __noinline int send(struct pt_regs *ctx, struct call *call, __u64 length, __u32 direction)
{
	struct event *event;
	__u32 zero = 0;

	event = bpf_map_lookup_elem(&scratch, &zero);
	if (!event || !call)
		return 0;
	event->time = bpf_ktime_get_ns();
	event->delta = event->time - call->since;
	event->process = bpf_get_current_pid_tgid() >> 32;
	event->thread = bpf_get_current_pid_tgid();
	event->user = bpf_get_current_uid_gid();
	event->direction = direction;
	bpf_get_current_comm(event->command, sizeof(event->command));
	for (int i = 0; i < MAX_PIECES; i++) {
		__u64 left = length - i * PIECE;

		if (i * PIECE >= length)
			break;
		if (left > PIECE)
			left = PIECE;
		event->offset = i * PIECE;
		event->length = left;
		/* The compiler may not know what the verifier needs to see once more. */
		asm volatile("if %0 <= 4096 goto +1; %0 = 4096" : "+r"(left));
		if (bpf_probe_read_user(event->data, left, (void *)call->buffer + i * PIECE))
			break;
		bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, event, offsetof(struct event, data) + left);
	}
	return 0;
}

static __always_inline int end(struct pt_regs *ctx, long result, __u32 direction)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct call *call = bpf_map_lookup_elem(&calls, &thread);
	__u64 length = result;

	if (!call)
		return 0;
	if (call->is_extended && result == 1) {
		if (bpf_probe_read_user(&length, sizeof(length), (void *)call->size_place))
			result = 0;
	}
	if (result > 0 && call->buffer)
		send(ctx, call, length, direction);
	bpf_map_delete_elem(&calls, &thread);
	return 0;
}

SEC("uprobe/SSL_write")
int BPF_KPROBE(write_called, void *ssl, void *buffer, int length)
{
	return begin(buffer, NULL);
}

SEC("uretprobe/SSL_write")
int BPF_KRETPROBE(write_returned, int result)
{
	return end(ctx, result, 1);
}

SEC("uprobe/SSL_read_ex")
int BPF_KPROBE(read_called, void *ssl, void *buffer, unsigned long size, void *size_place)
{
	return begin(buffer, size_place);
}

SEC("uretprobe/SSL_read_ex")
int BPF_KRETPROBE(read_returned, int result)
{
	return end(ctx, result, 0);
}

SEC("uprobe.s/SSL_set_fd")
int BPF_KPROBE(descriptor_set, void *ssl, int descriptor)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct call *call = bpf_map_lookup_elem(&calls, &thread);
	char name[32] = {};

	if (bpf_copy_from_user(name, sizeof(name), ssl))
		return 0;
	if (call && name[0])
		call->descriptor = descriptor;
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
