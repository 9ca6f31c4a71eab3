// SPDX-License-Identifier: Apache-2.0
// Tables of functions that the kernel calls: linked and not, optional, with members that no kernel has, of a flavour.
#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct sock;

struct tcp_congestion_ops {
	unsigned int (*ssthresh)(struct sock *sk);
	void (*cong_avoid)(struct sock *sk, unsigned int ack, unsigned int acked);
	unsigned int (*undo_cwnd)(struct sock *sk);
	char name[16];
};

struct tcp_congestion_ops___other {
	void (*cong_avoid)(struct sock *sk, unsigned int ack, unsigned int acked);
	unsigned int (*ssthresh)(struct sock *sk);
	unsigned int (*undo_cwnd)(struct sock *sk);
	void (*from_the_future)(struct sock *sk);
	char name[16];
};

SEC("struct_ops")
unsigned int BPF_PROG(threshold, struct sock *sk)
{
	return 2;
}

SEC("struct_ops/avoid")
void BPF_PROG(avoid, struct sock *sk, unsigned int ack, unsigned int acked)
{
}

SEC("?struct_ops.s/undo")
unsigned int BPF_PROG(undo, struct sock *sk)
{
	return 4;
}

SEC(".struct_ops")
struct tcp_congestion_ops plain = {
	.ssthresh = (void *)threshold,
	.cong_avoid = (void *)avoid,
	.undo_cwnd = (void *)threshold,
	.name = "plain",
};

SEC(".struct_ops.link")
struct tcp_congestion_ops linked = {
	.ssthresh = (void *)threshold,
	.cong_avoid = (void *)avoid,
	.undo_cwnd = (void *)threshold,
	.name = "linked",
};

SEC("?.struct_ops.link")
struct tcp_congestion_ops___other flavoured = {
	.ssthresh = (void *)threshold,
	.cong_avoid = (void *)avoid,
	.undo_cwnd = (void *)threshold,
	.name = "other",
};

char LICENSE[] SEC("license") = "GPL";
