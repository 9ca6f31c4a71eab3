// SPDX-License-Identifier: Apache-2.0
// Maps as they were defined before there were types, among them one with more fields, as iproute2 had them.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct old_map {
	unsigned int type;
	unsigned int key_size;
	unsigned int value_size;
	unsigned int max_entries;
	unsigned int map_flags;
};

struct old_map SEC("maps") counts = {
	.type = BPF_MAP_TYPE_HASH,
	.key_size = 4,
	.value_size = 8,
	.max_entries = 16,
	.map_flags = BPF_F_NO_PREALLOC,
};

struct old_map SEC("maps") events = {
	.type = BPF_MAP_TYPE_PERF_EVENT_ARRAY,
	.key_size = 4,
	.value_size = 4,
};

SEC("xdp_count")
int count(struct xdp_md *ctx)
{
	__u64 one = 1, *value;
	__u32 key = ctx->rx_queue_index;

	value = bpf_map_lookup_elem(&counts, &key);
	if (value)
		__sync_fetch_and_add(value, 1);
	else
		bpf_map_update_elem(&counts, &key, &one, BPF_ANY);
	bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, &one, sizeof(one));
	return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
