// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
// Counts flows in both directions and exports those that ended or were quiet for long, found by a timer.
#include "packets.h"
#include <linux/pkt_cls.h>

#define CLOCK_MONOTONIC 1
#define QUIET (30 * 1000000000ULL)
#define FIN 1
#define RST 4

struct flow_key {
	__u32 source[4];
	__u32 destination[4];
	__be16 source_port;
	__be16 destination_port;
	__u8 protocol;
	__u8 family;
	__u16 interface;
};

struct flow {
	__u64 packets;
	__u64 bytes;
	__u64 first;
	__u64 last;
	__u32 flags;
	__u32 ended;
};

struct record {
	struct flow_key key;
	struct flow flow;
};

struct clock {
	struct bpf_timer timer;
	__u64 rounds;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 32768);
	__type(key, struct flow_key);
	__type(value, struct flow);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct clock);
} clocks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} exported SEC(".maps");

__u64 lost;
__u64 exported_count;

static int export_quiet(void *map, struct flow_key *key, struct flow *flow, __u64 *now)
{
	struct record *record;

	if (!flow->ended && *now - flow->last < QUIET)
		return 0;
	record = bpf_ringbuf_reserve(&exported, sizeof(*record), 0);
	if (!record) {
		__sync_fetch_and_add(&lost, 1);
		return 1;
	}
	record->key = *key;
	record->flow = *flow;
	bpf_ringbuf_submit(record, 0);
	exported_count++;
	bpf_map_delete_elem(&flows, key);
	return 0;
}

static int tick(void *map, __u32 *key, struct clock *clock)
{
	__u64 now = bpf_ktime_get_ns();

	bpf_for_each_map_elem(&flows, export_quiet, &now, 0);
	clock->rounds++;
	bpf_timer_start(&clock->timer, QUIET / 3, 0);
	return 0;
}

static __always_inline int key_of(struct __sk_buff *skb, struct flow_key *key, __u32 *flags)
{
	struct cursor cursor = { (void *)(long)skb->data, (void *)(long)skb->data_end };
	struct ethhdr *ethernet;

	switch (link_layer(&cursor, &ethernet)) {
	case bpf_htons(ETH_P_IP): {
		struct iphdr *ip = ipv4(&cursor);

		if (!ip || ip->frag_off & bpf_htons(0x1fff))
			return -1;
		key->family = 4;
		key->protocol = ip->protocol;
		key->source[0] = ip->saddr;
		key->destination[0] = ip->daddr;
		break;
	}
	case bpf_htons(ETH_P_IPV6): {
		struct ipv6hdr *ip = TAKE(&cursor, struct ipv6hdr);

		if (!ip)
			return -1;
		key->family = 6;
		key->protocol = ip->nexthdr;
		__builtin_memcpy(key->source, &ip->saddr, 16);
		__builtin_memcpy(key->destination, &ip->daddr, 16);
		break;
	}
	default:
		return -1;
	}
	if (key->protocol == IPPROTO_TCP) {
		struct tcphdr *tcp = TAKE(&cursor, struct tcphdr);

		if (!tcp)
			return -1;
		key->source_port = tcp->source;
		key->destination_port = tcp->dest;
		*flags = ((__u8 *)tcp)[13];
	} else if (key->protocol == IPPROTO_UDP) {
		struct udphdr *udp = TAKE(&cursor, struct udphdr);

		if (!udp)
			return -1;
		key->source_port = udp->source;
		key->destination_port = udp->dest;
	} else if (key->protocol == IPPROTO_ICMP) {
		struct icmp_header *icmp = TAKE(&cursor, struct icmp_header);

		if (!icmp)
			return -1;
		key->source_port = (__be16)icmp->type << 8 | icmp->code;
	}
	return 0;
}

static __always_inline int count(struct __sk_buff *skb)
{
	struct flow_key key = { .interface = skb->ifindex };
	__u64 now = bpf_ktime_get_ns();
	struct flow *flow;
	__u32 flags = 0;

	if (key_of(skb, &key, &flags))
		return TC_ACT_OK;
	flow = bpf_map_lookup_elem(&flows, &key);
	if (!flow) {
		struct flow fresh = { .packets = 1, .bytes = skb->len, .first = now, .last = now, .flags = flags };

		if (bpf_map_update_elem(&flows, &key, &fresh, BPF_NOEXIST))
			__sync_fetch_and_add(&lost, 1);
		return TC_ACT_OK;
	}
	__sync_fetch_and_add(&flow->packets, 1);
	__sync_fetch_and_add(&flow->bytes, skb->len);
	flow->flags |= flags;
	flow->last = now;
	if (flags & (FIN | RST))
		flow->ended = 1;
	return TC_ACT_OK;
}

SEC("tc")
int ingress(struct __sk_buff *skb)
{
	return count(skb);
}

SEC("tc")
int egress(struct __sk_buff *skb)
{
	return count(skb);
}

SEC("tc")
int start(struct __sk_buff *skb)
{
	struct clock *clock;
	__u32 key = 0;

	clock = bpf_map_lookup_elem(&clocks, &key);
	if (!clock)
		return TC_ACT_OK;
	if (bpf_timer_init(&clock->timer, &clocks, CLOCK_MONOTONIC))
		return TC_ACT_OK;
	bpf_timer_set_callback(&clock->timer, tick);
	bpf_timer_start(&clock->timer, QUIET / 3, 0);
	return TC_ACT_OK;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
