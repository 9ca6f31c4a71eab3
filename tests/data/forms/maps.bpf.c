// SPDX-License-Identifier: Apache-2.0
// Ways to define maps: sizes as numbers and as types, inner maps by name and in place, initial members, every further
// attribute, and maps that hold programs.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

int stage0(struct xdp_md *ctx);
int stage1(struct xdp_md *ctx);

struct inner {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__type(key, int);
	__type(value, long long);
};

struct inner first SEC(".maps"), second SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 4);
	__uint(key_size, sizeof(int));
	__uint(value_size, sizeof(int));
	__array(values, struct inner);
} by_index SEC(".maps") = {
	.values = {[0] = &first, [3] = &second},
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, 4);
	__type(key, int);
	__array(values, struct {
		__uint(type, BPF_MAP_TYPE_ARRAY);
		__uint(max_entries, 1);
		__uint(map_flags, BPF_F_INNER_MAP);
		__type(key, int);
		__type(value, int);
	});
} anonymous SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 8);
	__uint(key_size, sizeof(int));
	__array(values, int(void *));
} stages SEC(".maps") = {
	.values = {[0] = (void *)&stage0, [7] = (void *)&stage1},
};

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
	__uint(max_entries, 8);
	__type(key, int);
	__type(value, struct bpf_devmap_val);
} devices SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_NUMA_NODE);
	__uint(numa_node, 0);
	__type(key, struct { int a; int b; });
	__type(value, int[4]);
} flags SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__type(key, int);
	__type(value, int);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} pinned SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_BLOOM_FILTER);
	__uint(max_entries, 100);
	__type(value, int);
	__uint(map_extra, 3);
} bloom SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__type(key, int);
	__type(value, int);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_STACK);
	__uint(max_entries, 4);
	__uint(value_size, 8);
} stack SEC(".maps");

SEC("xdp")
int stage0(struct xdp_md *ctx)
{
	int key = 1, *value;
	void *inner;

	inner = bpf_map_lookup_elem(&by_index, &key);
	if (inner)
		bpf_map_lookup_elem(inner, &key);
	inner = bpf_map_lookup_elem(&anonymous, &key);
	if (inner) {
		value = bpf_map_lookup_elem(inner, &key);
		if (value)
			*value = 1;
	}
	bpf_tail_call(ctx, &stages, 7);
	return XDP_PASS;
}

SEC("xdp")
int stage1(struct xdp_md *ctx)
{
	struct { int a; int b; } key = {1, 2};
	long long value = 3;
	int number = 4;

	bpf_map_lookup_elem(&flags, &key);
	bpf_map_update_elem(&pinned, &number, &number, BPF_ANY);
	bpf_map_push_elem(&bloom, &number, 0);
	bpf_map_push_elem(&stack, &value, BPF_EXIST);
	bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, &value, sizeof(value));
	bpf_ringbuf_output(&ring, &value, sizeof(value), 0);
	return bpf_redirect_map(&devices, 1, XDP_PASS);
}

char LICENSE[] SEC("license") = "GPL";
