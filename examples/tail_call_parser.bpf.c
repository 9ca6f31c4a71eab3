// SPDX-License-Identifier: Apache-2.0
// A parser cut into programs: each knows one header and tail-calls the next. What is known travels in front of the
// packet, in its metadata, because a tail call keeps nothing but the context.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

enum stage {
	STAGE_VLAN,
	STAGE_IPV4,
	STAGE_IPV6,
	STAGE_TCP,
	STAGE_UDP,
	STAGES,
};

struct vlan_header {
	__be16 tag;
	__be16 next;
};

struct parsed {
	__u16 offset;
	__u16 vlan;
};

struct flow {
	__u8 protocol;
	__u8 version;
	__u16 port;
};

int parse_vlan(struct xdp_md *ctx);
int parse_ipv4(struct xdp_md *ctx);
int parse_ipv6(struct xdp_md *ctx);
int parse_tcp(struct xdp_md *ctx);
int parse_udp(struct xdp_md *ctx);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, STAGES);
	__uint(key_size, sizeof(__u32));
	__array(values, int(void *));
} stages SEC(".maps") = {
	.values = {
		[STAGE_VLAN] = (void *)&parse_vlan,
		[STAGE_IPV4] = (void *)&parse_ipv4,
		[STAGE_IPV6] = (void *)&parse_ipv6,
		[STAGE_TCP] = (void *)&parse_tcp,
		[STAGE_UDP] = (void *)&parse_udp,
	},
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct flow);
	__type(value, __u64);
} flows SEC(".maps");

__u64 unparsed = 0;

static __always_inline struct parsed *state(struct xdp_md *ctx)
{
	struct parsed *known = (void *)(long)ctx->data_meta;

	return (void *)(known + 1) > (void *)(long)ctx->data ? 0 : known;
}

// The header at the parser's place, or nothing if the packet ends before `size` bytes of it.
static __always_inline void *header(struct xdp_md *ctx, __u32 offset, __u32 size)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	void *at = data + (offset & 0xff);

	return at + size > end ? 0 : at;
}

static __always_inline int give_up(void)
{
	__sync_fetch_and_add(&unparsed, 1);
	return XDP_PASS;
}

static __always_inline void follow(struct xdp_md *ctx, __be16 type)
{
	if (type == bpf_htons(ETH_P_8021Q) || type == bpf_htons(ETH_P_8021AD))
		bpf_tail_call(ctx, &stages, STAGE_VLAN);
	else if (type == bpf_htons(ETH_P_IP))
		bpf_tail_call(ctx, &stages, STAGE_IPV4);
	else if (type == bpf_htons(ETH_P_IPV6))
		bpf_tail_call(ctx, &stages, STAGE_IPV6);
}

static __always_inline int count(__u8 version, __u8 protocol, __u16 port)
{
	struct flow key = { .protocol = protocol, .version = version, .port = port };
	__u64 *seen = bpf_map_lookup_elem(&flows, &key), one = 1;

	if (seen)
		__sync_fetch_and_add(seen, 1);
	else
		bpf_map_update_elem(&flows, &key, &one, BPF_ANY);
	return XDP_PASS;
}

SEC("xdp")
int parse(struct xdp_md *ctx)
{
	struct ethhdr *ethernet;
	struct parsed *known;

	if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(struct parsed)))
		return XDP_ABORTED;
	known = state(ctx);
	ethernet = header(ctx, 0, sizeof(*ethernet));
	if (!known || !ethernet)
		return give_up();
	known->offset = sizeof(*ethernet);
	known->vlan = 0;
	follow(ctx, ethernet->h_proto);
	return give_up();
}

SEC("xdp")
int parse_vlan(struct xdp_md *ctx)
{
	struct parsed *known = state(ctx);
	struct vlan_header *vlan;

	if (!known)
		return give_up();
	vlan = header(ctx, known->offset, sizeof(*vlan));
	if (!vlan)
		return give_up();
	known->vlan = bpf_ntohs(vlan->tag) & 0xfff;
	known->offset += sizeof(*vlan);
	follow(ctx, vlan->next);
	return give_up();
}

SEC("xdp")
int parse_ipv4(struct xdp_md *ctx)
{
	struct parsed *known = state(ctx);
	struct iphdr *ip;

	if (!known)
		return give_up();
	ip = header(ctx, known->offset, sizeof(*ip));
	if (!ip || ip->ihl < 5)
		return give_up();
	known->offset += ip->ihl * 4;
	if (ip->protocol == IPPROTO_TCP)
		bpf_tail_call(ctx, &stages, STAGE_TCP);
	else if (ip->protocol == IPPROTO_UDP)
		bpf_tail_call(ctx, &stages, STAGE_UDP);
	return count(4, ip->protocol, 0);
}

SEC("xdp")
int parse_ipv6(struct xdp_md *ctx)
{
	struct parsed *known = state(ctx);
	struct ipv6hdr *ip;

	if (!known)
		return give_up();
	ip = header(ctx, known->offset, sizeof(*ip));
	if (!ip)
		return give_up();
	known->offset += sizeof(*ip);
	if (ip->nexthdr == IPPROTO_TCP)
		bpf_tail_call(ctx, &stages, STAGE_TCP);
	else if (ip->nexthdr == IPPROTO_UDP)
		bpf_tail_call(ctx, &stages, STAGE_UDP);
	return count(6, ip->nexthdr, 0);
}

SEC("xdp")
int parse_tcp(struct xdp_md *ctx)
{
	struct parsed *known = state(ctx);
	struct tcphdr *tcp;

	if (!known)
		return give_up();
	tcp = header(ctx, known->offset, sizeof(*tcp));
	return tcp ? count(0, IPPROTO_TCP, bpf_ntohs(tcp->dest)) : give_up();
}

SEC("xdp")
int parse_udp(struct xdp_md *ctx)
{
	struct parsed *known = state(ctx);
	struct udphdr *udp;

	if (!known)
		return give_up();
	udp = header(ctx, known->offset, sizeof(*udp));
	return udp ? count(0, IPPROTO_UDP, bpf_ntohs(udp->dest)) : give_up();
}

char LICENSE[] SEC("license") = "Apache-2.0";
