// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
// Headers of packets, and a cursor that walks over them with the bounds checked at each step.
#pragma once

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define VLANS 2
#define ETH_P_8021Q_BE bpf_htons(ETH_P_8021Q)
#define ETH_P_8021AD_BE bpf_htons(ETH_P_8021AD)
#define IP_FRAGMENT bpf_htons(0x3fff)

struct vlan_header {
	__be16 tag;
	__be16 protocol;
};

struct icmp_header {
	__u8 type;
	__u8 code;
	__be16 checksum;
	__be16 identifier;
	__be16 sequence;
};

struct cursor {
	void *at;
	void *end;
};

#define TAKE(cursor, type)                                                                                               \
	({                                                                                                               \
		type *taken = (cursor)->at;                                                                              \
		(void *)(taken + 1) > (cursor)->end ? (type *)0 : ((cursor)->at = taken + 1, taken);                     \
	})

// The protocol after Ethernet and up to two VLAN tags, in network order; negative where the packet ends before.
static __always_inline int link_layer(struct cursor *cursor, struct ethhdr **ethernet)
{
	struct ethhdr *header = TAKE(cursor, struct ethhdr);
	__be16 protocol;

	if (!header)
		return -1;
	*ethernet = header;
	protocol = header->h_proto;
#pragma unroll
	for (int tag = 0; tag < VLANS; tag++) {
		struct vlan_header *vlan;

		if (protocol != ETH_P_8021Q_BE && protocol != ETH_P_8021AD_BE)
			break;
		vlan = TAKE(cursor, struct vlan_header);
		if (!vlan)
			return -1;
		protocol = vlan->protocol;
	}
	return protocol;
}

// An IPv4 header with its options passed over.
static __always_inline struct iphdr *ipv4(struct cursor *cursor)
{
	struct iphdr *ip = TAKE(cursor, struct iphdr);
	__u32 length;

	if (!ip || ip->version != 4)
		return 0;
	length = ip->ihl * 4;
	if (length < sizeof(*ip) || (void *)ip + length > cursor->end)
		return 0;
	cursor->at = (void *)ip + length;
	return ip;
}

static __always_inline __u16 folded(__u64 sum)
{
#pragma unroll
	for (int round = 0; round < 4; round++)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}
