// SPDX-License-Identifier: Apache-2.0
// Network address translation: outgoing connections get the router's address and a free port, replies find their way
// back, and one service inside is reachable from outside.
#include <linux/pkt_cls.h>
#include "headers.h"

#define PORTS 16
#define FIRST_PORT 32768
#define IP_OFFSET ETH_HLEN
#define L4_OFFSET (ETH_HLEN + (int)sizeof(struct iphdr))

struct endpoint {
	__be32 address;
	__be16 port;
	__u8 protocol;
	__u8 unused;
};

struct pair {
	struct endpoint local;
	struct endpoint remote;
};

struct mapping {
	struct endpoint local;
	__be16 port;
	__u16 flags;
	__u64 used;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct pair);
	__type(value, struct mapping);
} outgoing SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct pair);
	__type(value, struct mapping);
} incoming SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 128);
	__type(key, struct endpoint);
	__type(value, struct endpoint);
} services SEC(".maps");

const volatile __be32 router = 0x0101a8c0;
const volatile __be32 inside = 0x0000000a, inside_mask = 0x000000ff;

__u64 exhausted;

struct header {
	struct iphdr ip;
	__be16 source;
	__be16 target;
};

static __always_inline int read_header(struct __sk_buff *skb, struct header *header)
{
	if (skb->protocol != bpf_htons(ETH_P_IP))
		return -1;
	if (bpf_skb_load_bytes(skb, IP_OFFSET, header, sizeof(*header)))
		return -1;
	if (header->ip.ihl != 5 || header->ip.frag_off & bpf_htons(IPV4_FRAGMENT))
		return -1;
	return header->ip.protocol == IPPROTO_TCP || header->ip.protocol == IPPROTO_UDP ? 0 : -1;
}

/* Rewrite an address and a port, and what depends on them. ``place`` is where the address lies in the IP header. */
static __noinline int rewrite(struct __sk_buff *skb, struct header *header, int place, struct endpoint *fresh)
{
	_Bool is_source = place == offsetof(struct iphdr, saddr), is_udp = header->ip.protocol == IPPROTO_UDP;
	int check = L4_OFFSET + (is_udp ? (int)offsetof(struct udphdr, check) : (int)offsetof(struct tcphdr, check));
	__be32 old_address = is_source ? header->ip.saddr : header->ip.daddr;
	__be16 old_port = is_source ? header->source : header->target;
	__u64 flags = is_udp ? BPF_F_MARK_MANGLED_0 : 0;

	if (bpf_l4_csum_replace(skb, check, old_address, fresh->address, flags | BPF_F_PSEUDO_HDR | 4))
		return -1;
	if (bpf_l4_csum_replace(skb, check, old_port, fresh->port, flags | 2))
		return -1;
	if (bpf_l3_csum_replace(skb, IP_OFFSET + offsetof(struct iphdr, check), old_address, fresh->address, 4))
		return -1;
	if (bpf_skb_store_bytes(skb, IP_OFFSET + place, &fresh->address, 4, 0))
		return -1;
	return bpf_skb_store_bytes(skb, L4_OFFSET + (is_source ? 0 : 2), &fresh->port, 2, 0);
}

static __noinline int allocate(struct pair *pair, struct mapping *mapping)
{
	struct pair back = {.local = {.address = router, .protocol = pair->local.protocol}, .remote = pair->remote};
	__u32 start = bpf_get_prandom_u32();

	for (int i = 0; i < PORTS; i++) {
		__u16 port = FIRST_PORT + (start + i * 977) % (65536 - FIRST_PORT);

		back.local.port = bpf_htons(port);
		mapping->port = back.local.port;
		if (!bpf_map_update_elem(&incoming, &back, mapping, BPF_NOEXIST))
			return bpf_map_update_elem(&outgoing, pair, mapping, BPF_ANY) ? -1 : 0;
	}
	__sync_fetch_and_add(&exhausted, 1);
	return -1;
}

SEC("tcx/egress")
int leave(struct __sk_buff *skb)
{
	struct mapping *mapping, fresh = {};
	struct header header = {};
	struct endpoint to = {};
	struct pair pair = {};

	if (read_header(skb, &header) || (header.ip.saddr & inside_mask) != inside)
		return TC_ACT_UNSPEC;
	pair.local.address = header.ip.saddr;
	pair.local.port = header.source;
	pair.local.protocol = pair.remote.protocol = header.ip.protocol;
	pair.remote.address = header.ip.daddr;
	pair.remote.port = header.target;
	mapping = bpf_map_lookup_elem(&outgoing, &pair);
	if (!mapping) {
		fresh.local = pair.local;
		fresh.used = bpf_ktime_get_coarse_ns();
		if (allocate(&pair, &fresh))
			return TC_ACT_SHOT;
		mapping = &fresh;
	} else {
		mapping->used = bpf_ktime_get_coarse_ns();
	}
	to.address = router;
	to.port = mapping->port;
	return rewrite(skb, &header, offsetof(struct iphdr, saddr), &to) ? TC_ACT_SHOT : TC_ACT_UNSPEC;
}

SEC("tcx/ingress")
int enter(struct __sk_buff *skb)
{
	struct header header = {};
	struct endpoint *service;
	struct mapping *mapping;
	struct pair pair = {};

	if (read_header(skb, &header) || header.ip.daddr != router)
		return TC_ACT_UNSPEC;
	pair.local.address = header.ip.daddr;
	pair.local.port = header.target;
	pair.local.protocol = header.ip.protocol;
	service = bpf_map_lookup_elem(&services, &pair.local);
	if (service)
		return rewrite(skb, &header, offsetof(struct iphdr, daddr), service) ? TC_ACT_SHOT : TC_ACT_UNSPEC;
	pair.remote.protocol = header.ip.protocol;
	pair.remote.address = header.ip.saddr;
	pair.remote.port = header.source;
	mapping = bpf_map_lookup_elem(&incoming, &pair);
	if (!mapping)
		return TC_ACT_UNSPEC;
	mapping->used = bpf_ktime_get_coarse_ns();
	return rewrite(skb, &header, offsetof(struct iphdr, daddr), &mapping->local) ? TC_ACT_SHOT : TC_ACT_UNSPEC;
}

char LICENSE[] SEC("license") = "GPL";
