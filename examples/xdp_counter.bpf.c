// SPDX-License-Identifier: Apache-2.0
// Counts what passes an interface: packets and bytes by protocol and by IPv4 source address.
// Every CPU has counters of its own, so that no two of them ever write to the same cache line.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct traffic {
	__u64 packets;
	__u64 bytes;
};

struct address {
	__u8 octets[4];
};

enum counted {
	COUNTED_OTHER,
	COUNTED_ARP,
	COUNTED_ICMP,
	COUNTED_TCP,
	COUNTED_UDP,
	COUNTED_IPV6,
	COUNTED_KINDS,
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, COUNTED_KINDS);
	__type(key, __u32);
	__type(value, struct traffic);
} by_protocol SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct address);
	__type(value, struct traffic);
} by_source SEC(".maps");

// Packets shorter than this many bytes are dropped; set it with --set-global.
const volatile __u32 shortest = 0;

static __always_inline void count_source(__be32 saddr, __u64 bytes)
{
	struct address address;
	struct traffic *seen;

	__builtin_memcpy(&address, &saddr, sizeof(address));
	seen = bpf_map_lookup_elem(&by_source, &address);

	if (seen) {
		seen->packets += 1;
		seen->bytes += bytes;
	} else {
		struct traffic first = { .packets = 1, .bytes = bytes };

		bpf_map_update_elem(&by_source, &address, &first, BPF_NOEXIST);
	}
}

SEC("xdp")
int xdp_count(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	struct ethhdr *ethernet = data;
	__u64 bytes = end - data;
	__u32 kind = COUNTED_OTHER;
	struct traffic *counter;

	if ((void *)(ethernet + 1) > end)
		return XDP_ABORTED;
	if (bytes < shortest)
		return XDP_DROP;

	if (ethernet->h_proto == bpf_htons(ETH_P_ARP)) {
		kind = COUNTED_ARP;
	} else if (ethernet->h_proto == bpf_htons(ETH_P_IPV6)) {
		kind = COUNTED_IPV6;
	} else if (ethernet->h_proto == bpf_htons(ETH_P_IP)) {
		struct iphdr *ip = (void *)(ethernet + 1);

		if ((void *)(ip + 1) > end)
			return XDP_DROP;
		if (ip->protocol == IPPROTO_ICMP)
			kind = COUNTED_ICMP;
		else if (ip->protocol == IPPROTO_TCP)
			kind = COUNTED_TCP;
		else if (ip->protocol == IPPROTO_UDP)
			kind = COUNTED_UDP;
		count_source(ip->saddr, bytes);
	}

	counter = bpf_map_lookup_elem(&by_protocol, &kind);
	if (counter) {
		counter->packets += 1;
		counter->bytes += bytes;
	}
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Apache-2.0";
