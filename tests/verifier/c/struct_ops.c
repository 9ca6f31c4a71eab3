/* Members of tables of programs: what they see, which there are, what they return. */
#include "expect.h"
#include <bpf/bpf_tracing.h>

struct bpf_dummy_ops_state {
	int val;
} __attribute__((preserve_access_index));

struct bpf_dummy_ops {
	int (*test_1)(struct bpf_dummy_ops_state *cb);
	int (*test_2)(struct bpf_dummy_ops_state *cb, int a1, unsigned short a2, char a3, unsigned long a4);
	int (*test_sleepable)(struct bpf_dummy_ops_state *cb);
};
struct sock;
struct ack_sample;
struct rate_sample;

struct tcp_congestion_ops {
	unsigned int (*ssthresh)(struct sock *sk);
	void (*cong_avoid)(struct sock *sk, unsigned int ack, unsigned int acked);
	void (*set_state)(struct sock *sk, unsigned char new_state);
	void (*init)(struct sock *);
	void (*release)(struct sock *);
	unsigned (*undo_cwnd)(struct sock *sk);
	unsigned long (*get_info)(struct sock *sk, unsigned ext, int *attr, void *info);
	void (*pkts_acked)(struct sock *sk, const struct ack_sample *sample);
	unsigned (*min_tso_segs)(struct sock *sk);
	char name[16];
};
SEC("struct_ops/test_1")
REJECT("R1 invalid mem access 'trusted_ptr_or_null_'")
int t1(unsigned long long *ctx)
{
	struct bpf_dummy_ops_state *s = (void *)ctx[0];
	return s->val;
}

SEC("struct_ops/test_1")
REJECT("invalid bpf_context access off=8 size=8")
int t1b(unsigned long long *ctx)
{
	return ctx[1];
}

SEC("struct_ops/test_2")
ACCEPT int t2(unsigned long long *ctx)
{
	return ctx[1] + ctx[2] + ctx[3] + ctx[4];
}

SEC("struct_ops/test_2")
REJECT("invalid bpf_context access off=40 size=8")
int t2b(unsigned long long *ctx)
{
	return ctx[5];
}

SEC("struct_ops/test_2")
ACCEPT int t2c(unsigned long long *ctx)
{
	return *(int *)&ctx[1] + *(short *)&ctx[2];
}

SEC("struct_ops.s/test_2")
REJECT("attach to unsupported member test_2 of struct bpf_dummy_ops")
int t2s(unsigned long long *ctx)
{
	return 0;
}

SEC("struct_ops.s/test_sleepable")
ACCEPT int t3s(unsigned long long *ctx)
{
	return 0;
}

SEC("struct_ops/test_1")
ACCEPT unsigned long tp(unsigned long long *ctx)
{
	return (unsigned long)ctx;
}

SEC(".struct_ops") struct bpf_dummy_ops d1 = {.test_1 = (void *)t1, .test_2 = (void *)t2};
SEC(".struct_ops") struct bpf_dummy_ops d2 = {.test_1 = (void *)t1b, .test_2 = (void *)t2b};
SEC(".struct_ops") struct bpf_dummy_ops d3 = {.test_2 = (void *)t2c};
SEC(".struct_ops")
struct bpf_dummy_ops d4 = {.test_1 = (void *)tp, .test_2 = (void *)t2s, .test_sleepable = (void *)t3s};
SEC("struct_ops/ssthresh")
ACCEPT unsigned ssth(unsigned long long *ctx)
{
	struct sock *s = (void *)ctx[0];
	return s != 0;
}

SEC("struct_ops/cong_avoid")
ACCEPT void ca(unsigned long long *ctx)
{
}

SEC("struct_ops/cong_avoid")
ACCEPT int ca1(unsigned long long *ctx)
{
	return 1;
}

SEC("struct_ops/init")
ACCEPT unsigned long ini(unsigned long long *ctx)
{
	return (long)ctx;
}

SEC("struct_ops/get_info")
REJECT("attach to unsupported member get_info of struct tcp_congestion_ops")
int gi(unsigned long long *ctx)
{
	return 1;
}

SEC("struct_ops/min_tso_segs")
ACCEPT int mts(unsigned long long *ctx)
{
	return 1;
}

SEC("struct_ops/pkts_acked")
ACCEPT int pa(unsigned long long *ctx)
{
	return ((int *)ctx[1])[0];
}

SEC("struct_ops/set_state")
ACCEPT int ss(unsigned long long *ctx)
{
	return ctx[1];
}

SEC(".struct_ops")
struct tcp_congestion_ops c1 = {.ssthresh = (void *)ssth,
				.cong_avoid = (void *)ca,
				.init = (void *)ini,
				.get_info = (void *)gi,
				.pkts_acked = (void *)pa,
				.min_tso_segs = (void *)mts,
				.set_state = (void *)ss};
SEC(".struct_ops") struct tcp_congestion_ops c2 = {.cong_avoid = (void *)ca1};
