/* Every way of defining a map in BTF: sizes and types, map in map, programs, initial members, pinning, options. */
#include "bpf.h"

struct key {
	u32 address;
	u16 port;
	u16 protocol;
};

struct value {
	u64 packets;
	u64 bytes;
	char name[8];
};

struct {
	NUMBER(type, HASH);
	NUMBER(max_entries, 100);
	TYPE(key, struct key);
	TYPE(value, struct value);
	NUMBER(map_flags, 1);
} typed SEC(".maps");

struct {
	NUMBER(type, PERCPU_ARRAY);
	NUMBER(key_size, 4);
	NUMBER(value_size, 24);
	NUMBER(max_entries, 7);
} sized SEC(".maps");

struct {
	NUMBER(type, HASH);
	NUMBER(max_entries, 2);
	NUMBER(numa_node, 0);
	NUMBER(pinning, 1);
	NUMBER(map_flags, 4);
	TYPE(key, u32);
	TYPE(value, u64);
} pinned SEC(".maps");

struct inner_map {
	NUMBER(type, ARRAY);
	NUMBER(max_entries, 3);
	TYPE(key, u32);
	TYPE(value, u64);
} first SEC(".maps"), second SEC(".maps");

struct {
	NUMBER(type, ARRAY_OF_MAPS);
	NUMBER(max_entries, 4);
	TYPE(key, u32);
	VALUES(struct inner_map);
} outer SEC(".maps") = {
	.values = { [0] = &first, [2] = &second },
};

struct {
	NUMBER(type, HASH_OF_MAPS);
	NUMBER(max_entries, 8);
	TYPE(key, u64);
	VALUES(struct {
		NUMBER(type, HASH);
		NUMBER(max_entries, 5);
		TYPE(key, u32);
		TYPE(value, u32);
	});
} outer_hash SEC(".maps");

int stage_one(struct xdp_md *ctx);
int stage_two(struct xdp_md *ctx);

struct {
	NUMBER(type, PROG_ARRAY);
	NUMBER(max_entries, 3);
	NUMBER(key_size, 4);
	VALUES(int(void *));
} stages SEC(".maps") = {
	.values = { [0] = (void *)&stage_one, [2] = (void *)&stage_two },
};

struct {
	NUMBER(type, RINGBUF);
	NUMBER(max_entries, 4096);
} events SEC(".maps");

struct {
	NUMBER(type, 30);
	NUMBER(max_entries, 10);
	TYPE(value, u32);
	enum { three_hashes = 3 } map_extra;
} bloom SEC(".maps");

SEC("xdp")
int stage_one(struct xdp_md *ctx)
{
	u32 key = 0;
	void *inner = map_lookup_elem(&outer, &key);
	u64 *value = inner ? map_lookup_elem(inner, &key) : 0;

	if (value)
		*value += 1;
	tail_call(ctx, &stages, 2);
	return 2;
}

SEC("xdp")
int stage_two(struct xdp_md *ctx)
{
	struct key key = { .address = ctx->ingress_ifindex };
	struct value *value = map_lookup_elem(&typed, &key);
	u32 index = 1;
	u64 *counter = map_lookup_elem(&sized, &index);

	if (value)
		value->packets++;
	if (counter)
		*counter += 1;
	return 1;
}

SEC("?xdp")
int on_demand(struct xdp_md *ctx)
{
	u64 key = 9;

	return map_lookup_elem(&outer_hash, &key) != 0;
}

char license_text[] SEC("license") = "Dual BSD/GPL";
