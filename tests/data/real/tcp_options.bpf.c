// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
// Reads the options of TCP's first packets, counts what is offered, and lowers a segment size that is too large.
#include "packets.h"
#include <linux/pkt_cls.h>

#define OPTIONS 40
#define END_OF_OPTIONS 0
#define NO_OPERATION 1
#define SEGMENT_SIZE 2
#define WINDOW_SCALE 3
#define SELECTIVE 4
#define TIMESTAMP 8
#define FAST_OPEN 34

struct offer {
	__u32 window_scale;
	__u16 segment_size;
	__u16 segment_size_at;
	__u8 selective;
	__u8 timestamps;
	__u8 fast_open;
	__u8 unknown;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct offer);
	__type(value, __u64);
} offers SEC(".maps");

const volatile __u16 largest = 1360;

static __noinline int read_options(struct __sk_buff *skb, __u32 offset, __u32 length, struct offer *offer)
{
	__u8 bytes[OPTIONS] = {};
	__u32 at = 0;

	if (!offer || length > OPTIONS || !length)
		return -1;
	if (bpf_skb_load_bytes(skb, offset, bytes, length))
		return -1;
	for (int round = 0; round < OPTIONS; round++) {
		__u8 kind, size;

		if (at >= length || at >= OPTIONS)
			break;
		kind = bytes[at];
		if (kind == END_OF_OPTIONS)
			break;
		if (kind == NO_OPERATION) {
			at++;
			continue;
		}
		if (at + 1 >= OPTIONS)
			return -1;
		size = bytes[at + 1];
		if (size < 2 || at + size > length)
			return -1;
		switch (kind) {
		case SEGMENT_SIZE:
			if (size != 4 || at + 3 >= OPTIONS)
				return -1;
			offer->segment_size = bytes[at + 2] << 8 | bytes[at + 3];
			offer->segment_size_at = at + 2;
			break;
		case WINDOW_SCALE:
			if (at + 2 >= OPTIONS)
				return -1;
			offer->window_scale = bytes[at + 2];
			break;
		case SELECTIVE:
			offer->selective = 1;
			break;
		case TIMESTAMP:
			offer->timestamps = 1;
			break;
		case FAST_OPEN:
			offer->fast_open = 1;
			break;
		default:
			offer->unknown++;
		}
		at += size;
	}
	return 0;
}

SEC("tc")
int clamp(struct __sk_buff *skb)
{
	struct cursor cursor = { (void *)(long)skb->data, (void *)(long)skb->data_end };
	__u32 tcp_at, options_at, length;
	struct ethhdr *ethernet;
	struct offer offer = {};
	struct tcphdr *tcp;
	struct iphdr *ip;
	__u64 *count, one = 1;

	if (link_layer(&cursor, &ethernet) != bpf_htons(ETH_P_IP))
		return TC_ACT_OK;
	ip = ipv4(&cursor);
	if (!ip || ip->protocol != IPPROTO_TCP)
		return TC_ACT_OK;
	tcp_at = cursor.at - (void *)(long)skb->data;
	tcp = TAKE(&cursor, struct tcphdr);
	if (!tcp || !tcp->syn || tcp->doff <= 5)
		return TC_ACT_OK;
	length = (tcp->doff - 5) * 4;
	options_at = tcp_at + sizeof(*tcp);
	if (read_options(skb, options_at, length, &offer))
		return TC_ACT_SHOT;
	if (offer.segment_size > largest) {
		__be16 old = bpf_htons(offer.segment_size), new = bpf_htons(largest);

		bpf_l4_csum_replace(skb, tcp_at + 16, old, new, sizeof(new));
		bpf_skb_store_bytes(skb, options_at + offer.segment_size_at, &new, sizeof(new), 0);
		offer.segment_size = largest;
	}
	offer.segment_size_at = 0;
	count = bpf_map_lookup_elem(&offers, &offer);
	if (count)
		*count += 1;
	else
		bpf_map_update_elem(&offers, &offer, &one, BPF_ANY);
	return TC_ACT_OK;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
