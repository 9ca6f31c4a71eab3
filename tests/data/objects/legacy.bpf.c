/* Maps in the older style, a version, and old section names. Built without BTF as well. */
#include "bpf.h"

struct bpf_map_def {
	u32 type;
	u32 key_size;
	u32 value_size;
	u32 max_entries;
	u32 map_flags;
};

struct bpf_map_def SEC("maps") counts = {
	.type = HASH,
	.key_size = 4,
	.value_size = 8,
	.max_entries = 16,
	.map_flags = 1,
};

struct bpf_map_def SEC("maps") totals = { .type = ARRAY, .key_size = 4, .value_size = 8, .max_entries = 2 };

SEC("xdp_old_name")
int count(struct xdp_md *ctx)
{
	u32 key = ctx->rx_queue_index;
	u64 one = 1, *value = map_lookup_elem(&counts, &key);

	if (value)
		*value += 1;
	else
		map_update_elem(&counts, &key, &one, 0);
	key = 1;
	value = map_lookup_elem(&totals, &key);
	if (value)
		*value += 1;
	return 2;
}

SEC("nobody_knows_this")
int mystery(void *ctx)
{
	return 7;
}

u32 version_number SEC("version") = 0x60c00;
char license_text[] SEC("license") = "GPL";
