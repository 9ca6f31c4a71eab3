// SPDX-License-Identifier: Apache-2.0
// Moves data between sockets of one machine without the network stack, sends new connections to the right listener,
// and cuts a stream of messages apart.
#include "headers.h"

struct endpoints {
	__be32 remote;
	__be32 local;
	__be32 remote_port;
	__u32 local_port;
};

struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, 8192);
	__type(key, struct endpoints);
	__type(value, __u64);
} sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u64);
} listeners SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_REUSEPORT_SOCKARRAY);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u64);
} workers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, __u32);
} ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u64[4]);
} counters SEC(".maps");

__u64 redirected, passed, assigned;

SEC("sockops")
int established(struct bpf_sock_ops *ctx)
{
	struct endpoints key = {};
	__u64 *counter;
	int on = 1;

	if (ctx->family != 2)
		return 0;
	switch (ctx->op) {
	case BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB:
	case BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB:
		key.remote = ctx->remote_ip4;
		key.local = ctx->local_ip4;
		key.remote_port = ctx->remote_port;
		key.local_port = ctx->local_port;
		bpf_sock_hash_update(ctx, &sockets, &key, BPF_NOEXIST);
		bpf_setsockopt(ctx, 6, 1, &on, sizeof(on));
		bpf_sock_ops_cb_flags_set(ctx, ctx->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_STATE_CB_FLAG);
		break;
	case BPF_SOCK_OPS_STATE_CB:
		if (!ctx->sk)
			break;
		counter = bpf_sk_storage_get(&counters, ctx->sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
		if (counter) {
			counter[0] = ctx->bytes_acked;
			counter[1] = ctx->bytes_received;
			counter[2] = ctx->total_retrans;
			counter[3] = ctx->srtt_us;
		}
		break;
	case BPF_SOCK_OPS_NEEDS_ECN:
		ctx->reply = 1;
		break;
	}
	return 1;
}

SEC("sk_msg")
int forward(struct sk_msg_md *msg)
{
	struct endpoints key = {
		.remote = msg->local_ip4,
		.local = msg->remote_ip4,
		.remote_port = bpf_htonl(msg->local_port),
		.local_port = bpf_ntohl(msg->remote_port),
	};
	void *data, *end;
	long verdict;

	if (msg->size > 65536) {
		bpf_msg_apply_bytes(msg, 65536);
		return SK_PASS;
	}
	if (bpf_msg_pull_data(msg, 0, 4, 0))
		return SK_PASS;
	data = msg->data;
	end = msg->data_end;
	if (data + 4 > end)
		return SK_PASS;
	if (*(__u32 *)data == bpf_htonl(0x50524f58))
		bpf_msg_pop_data(msg, 0, 4, 0);
	verdict = bpf_msg_redirect_hash(msg, &sockets, &key, BPF_F_INGRESS);
	__sync_fetch_and_add(verdict == SK_PASS ? &redirected : &passed, 1);
	return verdict;
}

/* A message is a 4-byte length and as many bytes. */
SEC("sk_skb/stream_parser")
int length(struct __sk_buff *skb)
{
	__be32 size;

	if (bpf_skb_load_bytes(skb, 0, &size, sizeof(size)))
		return 0;
	return bpf_ntohl(size) > 1 << 20 ? -1 : (int)bpf_ntohl(size) + 4;
}

SEC("sk_skb/stream_verdict")
int verdict(struct __sk_buff *skb)
{
	__u32 port = skb->local_port, *slot;

	slot = bpf_map_lookup_elem(&ports, &port);
	if (!slot)
		return SK_PASS;
	if (bpf_skb_change_tail(skb, skb->len, 0) < 0)
		return SK_DROP;
	return bpf_sk_redirect_map(skb, &listeners, *slot, 0);
}

SEC("sk_lookup")
int dispatch(struct bpf_sk_lookup *ctx)
{
	__u32 port = ctx->local_port, *slot;
	struct bpf_sock *sk;
	long failed;

	if (ctx->protocol != IPPROTO_TCP || ctx->sk)
		return SK_PASS;
	slot = bpf_map_lookup_elem(&ports, &port);
	if (!slot)
		return SK_PASS;
	sk = bpf_map_lookup_elem(&listeners, slot);
	if (!sk)
		return SK_DROP;
	failed = bpf_sk_assign(ctx, sk, BPF_SK_LOOKUP_F_REPLACE);
	bpf_sk_release(sk);
	__sync_fetch_and_add(&assigned, 1);
	return failed ? SK_DROP : SK_PASS;
}

SEC("sk_reuseport/migrate")
int choose(struct sk_reuseport_md *ctx)
{
	__u32 slot = ctx->hash % 16;

	if (ctx->migrating_sk)
		slot = ctx->migrating_sk->src_port % 16;
	if (bpf_sk_select_reuseport(ctx, &workers, &slot, 0) == 0)
		return SK_PASS;
	slot = 0;
	return bpf_sk_select_reuseport(ctx, &workers, &slot, 0) ? SK_DROP : SK_PASS;
}

/* Outgoing packets of connections that another process is to answer for. */
SEC("tc")
int assign(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct bpf_sock_tuple tuple = {};
	struct ethhdr *ethernet = data;
	struct iphdr *ip = (void *)(ethernet + 1);
	struct tcphdr *tcp = (void *)(ip + 1);
	struct bpf_sock *sk;
	int result;

	if ((void *)(tcp + 1) > end || ip->protocol != IPPROTO_TCP)
		return 0;
	tuple.ipv4.saddr = ip->saddr;
	tuple.ipv4.daddr = ip->daddr;
	tuple.ipv4.sport = tcp->source;
	tuple.ipv4.dport = tcp->dest;
	sk = bpf_skc_lookup_tcp(skb, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return 0;
	if (sk->state != BPF_TCP_LISTEN) {
		result = bpf_sk_assign(skb, sk, 0);
		bpf_sk_release(sk);
		return result ? 2 : 0;
	}
	if (tcp->syn && tcp->ack == 0)
		bpf_tcp_gen_syncookie(sk, ip, sizeof(*ip), tcp, sizeof(*tcp));
	bpf_sk_release(sk);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
