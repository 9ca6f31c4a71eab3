// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
// A layer 4 load balancer: a virtual address picks a ring of servers, a flow keeps the server that it was given first,
// and the packet goes there inside another IPv4 header.
#include "packets.h"

#define RING 1021
#define SERVERS 512

struct service_key {
	__be32 address;
	__be16 port;
	__u8 protocol;
	__u8 padding;
};

struct service {
	__u32 ring;
	__u32 flags;
};

struct flow {
	__be32 source;
	__be32 destination;
	__be16 source_port;
	__be16 destination_port;
	__u8 protocol;
	__u8 padding[3];
};

struct server {
	__be32 address;
	__u8 mac[ETH_ALEN];
	__u16 weight;
};

struct traffic {
	__u64 packets;
	__u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, struct service_key);
	__type(value, struct service);
} services SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct flow);
	__type(value, __u32);
} connections SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 16 * RING);
	__type(key, __u32);
	__type(value, __u32);
} rings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SERVERS);
	__type(key, __u32);
	__type(value, struct server);
} servers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SERVERS);
	__type(key, __u32);
	__type(value, struct traffic);
} statistics SEC(".maps");

const volatile __be32 own_address = 0x0100000a;

static __always_inline __u32 mixed(__u32 hash, __u32 word)
{
	hash ^= word * 0xcc9e2d51;
	hash = (hash << 13) | (hash >> 19);
	return hash * 5 + 0xe6546b64;
}

static __always_inline __u32 hash_of(const struct flow *flow)
{
	__u32 hash = 0x9747b28c;

	hash = mixed(hash, flow->source);
	hash = mixed(hash, flow->destination);
	hash = mixed(hash, (__u32)flow->source_port << 16 | flow->destination_port);
	hash = mixed(hash, flow->protocol);
	return hash ^ hash >> 16;
}

static __noinline __u32 choose(struct flow *flow, __u32 ring)
{
	__u32 slot, *chosen, *kept, none = SERVERS;

	kept = bpf_map_lookup_elem(&connections, flow);
	if (kept)
		return *kept;
	slot = ring % 16 * RING + hash_of(flow) % RING;
	chosen = bpf_map_lookup_elem(&rings, &slot);
	if (!chosen)
		return none;
	bpf_map_update_elem(&connections, flow, chosen, BPF_ANY);
	return *chosen;
}

static __always_inline int wrap(struct xdp_md *ctx, const struct server *server, __u16 length)
{
	struct ethhdr *outer, old;
	struct iphdr *ip;
	struct cursor cursor;
	__u64 sum = 0;
	__u16 *word;

	if (bpf_xdp_adjust_head(ctx, -(int)sizeof(*ip)))
		return XDP_ABORTED;
	cursor.at = (void *)(long)ctx->data;
	cursor.end = (void *)(long)ctx->data_end;
	outer = TAKE(&cursor, struct ethhdr);
	if (!outer)
		return XDP_ABORTED;
	ip = TAKE(&cursor, struct iphdr);
	if (!ip || cursor.at + sizeof(old) > cursor.end)
		return XDP_ABORTED;
	__builtin_memcpy(&old, (void *)outer + sizeof(*ip), sizeof(old));
	__builtin_memcpy(outer->h_source, old.h_dest, ETH_ALEN);
	__builtin_memcpy(outer->h_dest, server->mac, ETH_ALEN);
	outer->h_proto = bpf_htons(ETH_P_IP);
	ip->version = 4;
	ip->ihl = 5;
	ip->tos = 0;
	ip->tot_len = bpf_htons(length + sizeof(*ip));
	ip->id = 0;
	ip->frag_off = 0;
	ip->ttl = 64;
	ip->protocol = IPPROTO_IPIP;
	ip->check = 0;
	ip->saddr = own_address;
	ip->daddr = server->address;
	word = (__u16 *)ip;
#pragma unroll
	for (int index = 0; index < (int)sizeof(*ip) / 2; index++)
		sum += word[index];
	ip->check = ~folded(sum);
	return XDP_TX;
}

SEC("xdp")
int balance(struct xdp_md *ctx)
{
	struct cursor cursor = { (void *)(long)ctx->data, (void *)(long)ctx->data_end };
	struct service_key key = {};
	struct flow flow = {};
	struct ethhdr *ethernet;
	struct service *service;
	struct traffic *traffic;
	struct server *server;
	struct iphdr *ip;
	__u32 number;
	__u16 length;

	if (link_layer(&cursor, &ethernet) != bpf_htons(ETH_P_IP) || ethernet->h_proto != bpf_htons(ETH_P_IP))
		return XDP_PASS;
	ip = ipv4(&cursor);
	if (!ip || ip->frag_off & IP_FRAGMENT)
		return XDP_PASS;
	flow.source = ip->saddr;
	flow.destination = ip->daddr;
	flow.protocol = ip->protocol;
	length = bpf_ntohs(ip->tot_len);
	if (ip->protocol == IPPROTO_TCP) {
		struct tcphdr *tcp = TAKE(&cursor, struct tcphdr);

		if (!tcp)
			return XDP_DROP;
		flow.source_port = tcp->source;
		flow.destination_port = tcp->dest;
	} else if (ip->protocol == IPPROTO_UDP) {
		struct udphdr *udp = TAKE(&cursor, struct udphdr);

		if (!udp)
			return XDP_DROP;
		flow.source_port = udp->source;
		flow.destination_port = udp->dest;
	} else {
		return XDP_PASS;
	}
	key.address = flow.destination;
	key.port = flow.destination_port;
	key.protocol = flow.protocol;
	service = bpf_map_lookup_elem(&services, &key);
	if (!service)
		return XDP_PASS;
	number = choose(&flow, service->ring);
	server = bpf_map_lookup_elem(&servers, &number);
	if (!server || !server->weight)
		return XDP_DROP;
	traffic = bpf_map_lookup_elem(&statistics, &number);
	if (traffic) {
		traffic->packets++;
		traffic->bytes += length;
	}
	return wrap(ctx, server, length);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
