// SPDX-License-Identifier: Apache-2.0
// Reads the questions of DNS packets: the name in lower case is looked up with all its parents; what is blocked is
// answered on the spot with "no such domain", what is asked too often by one client is dropped.
#include "headers.h"

#define MAX_NAME 64
#define MAX_LABELS 8
#define PER_SECOND 200
#define HEADERS (sizeof(struct ethhdr) + sizeof(struct iphdr) + sizeof(struct udphdr) + sizeof(struct dns_header))

struct dns_header {
	__be16 id;
	__be16 flags;
	__be16 questions;
	__be16 answers;
	__be16 authorities;
	__be16 additional;
};

struct name {
	__u8 length;
	char text[MAX_NAME - 1];
};

struct rule {
	__u32 action;
	__u32 type;
	__u64 hits;
};

struct bucket {
	struct bpf_spin_lock lock;
	__u32 tokens;
	__u64 filled;
};

struct query {
	struct name name;
	__u8 labels[MAX_LABELS];
	__u32 count;
	__u32 left;
	_Bool is_whole;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, struct name);
	__type(value, struct rule);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} rules SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, __be32);
	__type(value, struct bucket);
} clients SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_BLOOM_FILTER);
	__uint(max_entries, 65536);
	__uint(value_size, sizeof(__u64));
} maybe_blocked SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct query);
} queries SEC(".maps");

__u64 answered, limited, malformed;

static __always_inline _Bool has_token(__be32 client)
{
	__u64 now = bpf_ktime_get_ns(), gained;
	struct bucket *bucket, fresh = {};
	_Bool result;

	bucket = bpf_map_lookup_elem(&clients, &client);
	if (!bucket) {
		fresh.tokens = PER_SECOND;
		fresh.filled = now;
		bpf_map_update_elem(&clients, &client, &fresh, BPF_NOEXIST);
		return 1;
	}
	bpf_spin_lock(&bucket->lock);
	gained = (now - bucket->filled) * PER_SECOND / 1000000000;
	if (gained) {
		bucket->tokens = bucket->tokens + gained > PER_SECOND ? PER_SECOND : bucket->tokens + gained;
		bucket->filled = now;
	}
	result = bucket->tokens > 0;
	if (result)
		bucket->tokens--;
	bpf_spin_unlock(&bucket->lock);
	return result;
}

/* One byte of the name: a length, or a letter of a label. */
static long one_byte(__u32 index, struct query **place)
{
	struct query *query = *place;
	__u32 at = index & (MAX_NAME - 1);
	__u8 byte;

	if (at >= MAX_NAME - 1)
		return 1;
	byte = query->name.text[at];
	if (!query->left) {
		if (!byte) {
			query->name.length = at;
			query->is_whole = 1;
			return 1;
		}
		if (byte > 63)
			return 1;
		query->left = byte;
		if (query->count < MAX_LABELS)
			query->labels[query->count++ & (MAX_LABELS - 1)] = at;
		return 0;
	}
	query->left--;
	if (byte >= 'A' && byte <= 'Z')
		query->name.text[at] = byte + 'a' - 'A';
	return 0;
}

/* Read the name of the question: from the packet as it is, then in lower case and with its labels marked. */
static __noinline int read_name(struct xdp_md *ctx, struct query *query)
{
	__u64 size = (__u64)ctx->data_end - ctx->data - HEADERS;

	if (!query || size > 1500)
		return -1;
	if (size > MAX_NAME - 1)
		size = MAX_NAME - 1;
	if (size < 5 || bpf_xdp_load_bytes(ctx, HEADERS, query->name.text, size))
		return -1;
	bpf_loop(MAX_NAME - 1, one_byte, &query, 0);
	if (!query->is_whole)
		return -1;
	for (__u32 i = 0; i < MAX_NAME - 1; i++)
		if (i >= query->name.length)
			query->name.text[i] = 0;
	return 0;
}

static __always_inline __u64 hash_of(const struct name *name)
{
	const __u64 *words = (const __u64 *)name;
	__u64 hash = 0x9e3779b97f4a7c15ULL;

	for (int i = 0; i < MAX_NAME / 8; i++)
		hash = (hash ^ words[i]) * 0xff51afd7ed558ccdULL, hash ^= hash >> 33;
	return hash;
}

struct search {
	struct query *query;
	struct rule *rule;
	struct name name;
};

/* Look the name up from its label ``index`` on. */
static long one_parent(__u32 index, struct search *search)
{
	struct query *query = search->query;
	__u32 start, length;
	__u64 hash;

	if (index >= MAX_LABELS || index >= query->count)
		return 1;
	start = query->labels[index];
	length = query->name.length - start;
	if (start >= MAX_NAME - 1 || length >= MAX_NAME - 1)
		return 1;
	__builtin_memset(&search->name, 0, sizeof(search->name));
	search->name.length = length;
	if (bpf_probe_read_kernel(search->name.text, length & (MAX_NAME - 1), query->name.text + start))
		return 1;
	hash = hash_of(&search->name);
	if (bpf_map_peek_elem(&maybe_blocked, &hash))
		return 0;
	search->rule = bpf_map_lookup_elem(&rules, &search->name);
	return search->rule != NULL;
}

static __noinline struct rule *find_rule(struct query *query)
{
	struct search search = {.query = query};

	bpf_loop(MAX_LABELS, one_parent, &search, 0);
	return search.rule;
}

static __always_inline int answer(struct ethhdr *ethernet, struct iphdr *ip, struct udphdr *udp, struct dns_header *dns)
{
	__u8 mac[ETH_ALEN];
	__be32 address = ip->saddr;
	__be16 port = udp->source;

	__builtin_memcpy(mac, ethernet->h_source, ETH_ALEN);
	__builtin_memcpy(ethernet->h_source, ethernet->h_dest, ETH_ALEN);
	__builtin_memcpy(ethernet->h_dest, mac, ETH_ALEN);
	ip->saddr = ip->daddr;
	ip->daddr = address;
	udp->source = udp->dest;
	udp->dest = port;
	udp->check = 0;
	dns->flags = bpf_htons(0x8183);
	__sync_fetch_and_add(&answered, 1);
	return XDP_TX;
}

SEC("xdp")
int inspect(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *ethernet = data;
	struct iphdr *ip = (void *)(ethernet + 1);
	struct udphdr *udp = (void *)(ip + 1);
	struct dns_header *dns = (void *)(udp + 1);
	struct query *query;
	struct rule *rule;
	__u32 zero = 0;

	if ((void *)(dns + 1) > end)
		return XDP_PASS;
	if (ethernet->h_proto != bpf_htons(ETH_P_IP) || ip->ihl != 5 || ip->protocol != IPPROTO_UDP)
		return XDP_PASS;
	if (udp->dest != bpf_htons(53) || dns->flags & bpf_htons(0x8000) || dns->questions != bpf_htons(1))
		return XDP_PASS;
	if (!has_token(ip->saddr)) {
		__sync_fetch_and_add(&limited, 1);
		return XDP_DROP;
	}
	query = bpf_map_lookup_elem(&queries, &zero);
	if (!query)
		return XDP_PASS;
	__builtin_memset(query, 0, sizeof(*query));
	if (read_name(ctx, query)) {
		__sync_fetch_and_add(&malformed, 1);
		return XDP_DROP;
	}
	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	ethernet = data;
	ip = (void *)(ethernet + 1);
	udp = (void *)(ip + 1);
	dns = (void *)(udp + 1);
	if ((void *)(dns + 1) > end)
		return XDP_DROP;
	rule = find_rule(query);
	if (!rule)
		return XDP_PASS;
	__sync_fetch_and_add(&rule->hits, 1);
	if (!rule->action)
		return XDP_PASS;
	return answer(ethernet, ip, udp, dns);
}

char LICENSE[] SEC("license") = "GPL";
