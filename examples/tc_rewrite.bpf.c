// SPDX-License-Identifier: Apache-2.0
// A small destination NAT on the way in: packets to a virtual address go to a backend. The address, the port and both
// checksums are rewritten with the helpers that keep the socket buffer's own bookkeeping right.
#include <stddef.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct service {
	__be32 address;
	__be16 port;
	__u16 protocol;
};

struct backend {
	__be32 address;
	__be16 port;
	__u16 pad;
	__u64 packets;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, struct service);
	__type(value, struct backend);
} services SEC(".maps");

// Where the virtual address 10.0.0.100:80/tcp leads until user space fills `services`.
const volatile __u32 virtual_address = 0x0a000064;
const volatile __u32 backend_address = 0x0a000201;
const volatile __u16 virtual_port = 80;
const volatile __u16 backend_port = 8080;

__u64 rewritten = 0;

#define IP_OFFSET ETH_HLEN
#define CHECKSUM_OF_IP (IP_OFFSET + offsetof(struct iphdr, check))
#define IP_DESTINATION (IP_OFFSET + offsetof(struct iphdr, daddr))
#define TRANSPORT (IP_OFFSET + sizeof(struct iphdr))

static __always_inline int find_backend(const struct service *wanted, struct backend *found)
{
	struct backend *known = bpf_map_lookup_elem(&services, wanted);

	if (known) {
		__sync_fetch_and_add(&known->packets, 1);
		*found = *known;
		return 0;
	}
	if (wanted->address == bpf_htonl(virtual_address) && wanted->port == bpf_htons(virtual_port) &&
	    wanted->protocol == IPPROTO_TCP) {
		found->address = bpf_htonl(backend_address);
		found->port = bpf_htons(backend_port);
		return 0;
	}
	return -1;
}

SEC("tc")
int rewrite(struct __sk_buff *skb)
{
	struct service wanted = {};
	struct backend chosen = {};
	__be32 old_address;
	__be16 old_port;
	__u32 checksum, port_offset;
	__u64 flags = BPF_F_PSEUDO_HDR;

	if (bpf_skb_pull_data(skb, TRANSPORT + sizeof(struct tcphdr)) &&
	    bpf_skb_pull_data(skb, TRANSPORT + sizeof(struct udphdr)))
		return TC_ACT_OK;

	void *data = (void *)(long)skb->data;
	void *end = (void *)(long)skb->data_end;
	struct ethhdr *ethernet = data;
	struct iphdr *ip = data + IP_OFFSET;
	struct udphdr *ports = data + TRANSPORT;

	if ((void *)(ports + 1) > end || ethernet->h_proto != bpf_htons(ETH_P_IP) || ip->ihl != 5)
		return TC_ACT_OK;
	if (ip->frag_off & bpf_htons(0x1fff))
		return TC_ACT_OK;
	if (ip->protocol == IPPROTO_TCP) {
		checksum = TRANSPORT + offsetof(struct tcphdr, check);
	} else if (ip->protocol == IPPROTO_UDP) {
		checksum = TRANSPORT + offsetof(struct udphdr, check);
		flags |= BPF_F_MARK_MANGLED_0;
	} else {
		return TC_ACT_OK;
	}
	port_offset = TRANSPORT + offsetof(struct udphdr, dest);

	wanted.address = old_address = ip->daddr;
	wanted.port = old_port = ports->dest;
	wanted.protocol = ip->protocol;
	if (find_backend(&wanted, &chosen))
		return TC_ACT_OK;

	bpf_l4_csum_replace(skb, checksum, old_address, chosen.address, flags | sizeof(__be32));
	bpf_l4_csum_replace(skb, checksum, old_port, chosen.port, (flags & ~BPF_F_PSEUDO_HDR) | sizeof(__be16));
	bpf_l3_csum_replace(skb, CHECKSUM_OF_IP, old_address, chosen.address, sizeof(__be32));
	if (bpf_skb_store_bytes(skb, IP_DESTINATION, &chosen.address, sizeof(chosen.address), 0) ||
	    bpf_skb_store_bytes(skb, port_offset, &chosen.port, sizeof(chosen.port), 0))
		return TC_ACT_SHOT;

	__sync_fetch_and_add(&rewritten, 1);
	skb->mark = 1;
	return TC_ACT_OK;
}

char LICENSE[] SEC("license") = "Apache-2.0";
