// SPDX-License-Identifier: Apache-2.0
// One policy at three gates: the netfilter hooks, a cgroup's sockets and the driver. What it costs is paced by departure
// times; user space sends its commands through a ring.
#include "kernel.h"
#include "headers.h"

#define NF_DROP 0
#define NF_ACCEPT 1
#define HORIZON 2000000000ULL

struct nf_ctx_dynptr;

extern int bpf_dynptr_from_skb(struct __sk_buff *skb, __u64 flags, struct bpf_dynptr *pointer) __ksym;
extern int bpf_dynptr_from_xdp(struct xdp_md *xdp, __u64 flags, struct bpf_dynptr *pointer) __ksym;
extern void *bpf_dynptr_slice(const struct bpf_dynptr *pointer, __u32 offset, void *buffer, __u32 size) __ksym;

struct command {
	__u32 what;
	__u32 port;
	__u64 rate;
};

struct class {
	__u64 rate;
	__u64 next;
	__u64 delayed;
	__u64 dropped;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, struct class);
} classes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_USER_RINGBUF);
	__uint(max_entries, 65536);
} commands SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 1024);
	__type(value, struct command);
} refused SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} gates SEC(".maps");

static __always_inline void count(__u32 gate)
{
	__u64 *counter = bpf_map_lookup_elem(&gates, &gate);

	if (counter)
		(*counter)++;
}

static long obey(struct bpf_dynptr *message, void *context)
{
	struct class class = {};
	struct command command;
	int *obeyed = context;

	if (bpf_dynptr_read(&command, sizeof(command), message, 0, 0))
		return 1;
	if (command.port > 65535 || !command.rate) {
		bpf_map_push_elem(&refused, &command, BPF_EXIST);
		return 0;
	}
	class.rate = command.rate;
	bpf_map_update_elem(&classes, &command.port, &class, BPF_ANY);
	*obeyed += 1;
	return *obeyed > 64;
}

SEC("syscall")
int take_commands(void *ctx)
{
	int obeyed = 0;
	long drained = bpf_user_ringbuf_drain(&commands, obey, &obeyed, 0);

	return drained < 0 ? drained : obeyed;
}

static __always_inline int paced(struct __sk_buff *skb, struct class *class)
{
	__u64 now = bpf_ktime_get_ns(), start = skb->tstamp, delay, next;

	if (start < now)
		start = now;
	if (!class->rate)
		return 0;
	delay = (__u64)skb->len * 1000000000 / class->rate;
	next = class->next;
	if (next <= start) {
		class->next = start + delay;
		return 0;
	}
	if (next - now >= HORIZON) {
		__sync_fetch_and_add(&class->dropped, 1);
		return -1;
	}
	skb->tstamp = next;
	class->next = next + delay;
	class->delayed++;
	return 0;
}

SEC("tc/egress")
int pace(struct __sk_buff *skb)
{
	__u8 place[sizeof(struct iphdr) + 4];
	struct bpf_dynptr pointer;
	struct class *class;
	struct iphdr *ip;
	__be16 *ports;
	__u32 port;

	count(0);
	if (bpf_dynptr_from_skb(skb, 0, &pointer))
		return 0;
	ip = bpf_dynptr_slice(&pointer, ETH_HLEN, place, sizeof(place));
	if (!ip || ip->ihl != 5)
		return 0;
	ports = (void *)(ip + 1);
	port = bpf_ntohs(ports[1]);
	class = bpf_map_lookup_elem(&classes, &port);
	return class && paced(skb, class) ? 2 : 0;
}

SEC("xdp")
int drop_early(struct xdp_md *ctx)
{
	__u8 place[sizeof(struct iphdr) + 4];
	struct bpf_dynptr pointer;
	struct class *class;
	struct iphdr *ip;
	__u32 port;

	count(1);
	if (bpf_dynptr_from_xdp(ctx, 0, &pointer))
		return XDP_ABORTED;
	ip = bpf_dynptr_slice(&pointer, ETH_HLEN, place, sizeof(place));
	if (!ip || ip->ihl != 5)
		return XDP_PASS;
	port = bpf_ntohs(((__be16 *)(ip + 1))[1]);
	class = bpf_map_lookup_elem(&classes, &port);
	return class && class->dropped > 1000 ? XDP_DROP : XDP_PASS;
}

SEC("netfilter")
int gate(struct bpf_nf_ctx *ctx)
{
	struct sk_buff *skb = ctx->skb;

	count(2);
	if (ctx->state->hook != 1)
		return NF_ACCEPT;
	return skb->len > 9000 ? NF_DROP : NF_ACCEPT;
}

SEC("cgroup_skb/ingress")
int receive(struct __sk_buff *skb)
{
	struct bpf_tcp_sock *tp;
	struct bpf_sock *sk;

	count(3);
	sk = skb->sk;
	if (!sk)
		return 1;
	sk = bpf_sk_fullsock(sk);
	if (!sk)
		return 1;
	tp = bpf_tcp_sock(sk);
	if (!tp)
		return 1;
	if (tp->snd_cwnd > 1000 && tp->rtt_min < 1000)
		bpf_skb_ecn_set_ce(skb);
	return 1;
}

char LICENSE[] SEC("license") = "GPL";
