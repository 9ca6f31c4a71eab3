/* SPDX-License-Identifier: Apache-2.0
 * Packet headers as these programs share them.
 */
#pragma once

#include <stddef.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct icmp_header {
	__u8 type;
	__u8 code;
	__be16 checksum;
	__be32 rest;
};

#define ICMP_DEST_UNREACH 3

struct vlan_tag {
	__be16 tci;
	__be16 protocol;
};

struct address {
	union {
		__be32 v4;
		__be32 v6[4];
	};
};

#define IPV4_FRAGMENT 0x1fff
#define MORE_FRAGMENTS 0x2000

static __always_inline __u16 folded(__u64 sum)
{
	for (int i = 0; i < 4; i++)
		if (sum >> 16)
			sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}
