/* What members of tables of programs may write, and whom they may call. */
#include "expect.h"

struct bpf_dummy_ops_state {
	int val;
} __attribute__((preserve_access_index));

struct bpf_dummy_ops {
	int (*test_1)(void *);
	int (*test_2)(struct bpf_dummy_ops_state *cb, int a1, unsigned short a2, char a3, unsigned long a4);
};
struct sock;

struct sock_ {
	int x;
};

struct tcp_sock {
	unsigned snd_cwnd;
	unsigned snd_ssthresh;
	unsigned snd_cwnd_cnt;
	unsigned mss_cache;
	unsigned char ecn_flags;
} __attribute__((preserve_access_index));

struct ack_sample {
	unsigned pkts_acked;
} __attribute__((preserve_access_index));

struct inet_connection_sock {
	unsigned long long icsk_ca_priv[13];
} __attribute__((preserve_access_index));

struct tcp_congestion_ops {
	void (*init)(struct sock *sk);
	void (*pkts_acked)(struct sock *sk, const struct ack_sample *s);
	void (*release)(struct sock *sk);
	char name[16];
};
SEC("struct_ops/test_2")
ACCEPT int d1(unsigned long long *c)
{
	struct bpf_dummy_ops_state *s = (void *)c[0];
	s->val = 1;
	return s->val;
}

SEC("struct_ops/test_2")
REJECT("write access at off 4 with size 4")
int d2(unsigned long long *c)
{
	struct bpf_dummy_ops_state *s = (void *)c[0];
	((int *)s)[1] = 1;
	return 0;
}

SEC("struct_ops/test_2")
ACCEPT int d3(unsigned long long *c)
{
	struct bpf_dummy_ops_state *s = (void *)c[0];
	__sync_fetch_and_add(&s->val, 1);
	return 0;
}

SEC("struct_ops/test_2")
REJECT("program of this type cannot use helper bpf_get_prandom_u32#7")
int d4(unsigned long long *c)
{
	return bpf_get_prandom_u32();
}

SEC("struct_ops/init")
ACCEPT void i1(unsigned long long *c)
{
	struct tcp_sock *t = (void *)c[0];
	t->snd_cwnd = 3;
	t->snd_ssthresh = t->snd_cwnd_cnt;
	t->ecn_flags = 1;
}

SEC("struct_ops/init")
REJECT("no write support to tcp_sock at off 1440")
void i2(unsigned long long *c)
{
	struct tcp_sock *t = (void *)c[0];
	t->mss_cache = 3;
}

SEC("struct_ops/init")
ACCEPT void i3(unsigned long long *c)
{
	struct inet_connection_sock *t = (void *)c[0];
	t->icsk_ca_priv[12] = 3;
	((char *)t->icsk_ca_priv)[5] = 1;
}

SEC("struct_ops/init")
REJECT("write access at off 1393 with size 8 beyond the member of tcp_sock ended at 1400")
void i4(unsigned long long *c)
{
	struct inet_connection_sock *t = (void *)c[0];
	*(unsigned long long *)((char *)&t->icsk_ca_priv[12] + 1) = 3;
}

SEC("struct_ops/release")
REJECT("program of this type cannot use helper bpf_setsockopt#49")
void r1(unsigned long long *c)
{
	int x = 1;
	bpf_setsockopt((void *)c[0], 6, 1, &x, 4);
}

SEC("struct_ops/pkts_acked")
REJECT("only read is supported")
void p1(unsigned long long *c)
{
	struct ack_sample *a = (void *)c[1];
	a->pkts_acked = 1;
}

SEC("struct_ops/pkts_acked")
ACCEPT void p2(unsigned long long *c)
{
	struct ack_sample *a = (void *)c[1];
	if (a->pkts_acked > 5)
		bpf_printk("x");
}

SEC(".struct_ops") struct bpf_dummy_ops t_d1 = {.test_2 = (void *)d1};
SEC(".struct_ops") struct bpf_dummy_ops t_d2 = {.test_2 = (void *)d2};
SEC(".struct_ops") struct bpf_dummy_ops t_d3 = {.test_2 = (void *)d3};
SEC(".struct_ops") struct bpf_dummy_ops t_d4 = {.test_2 = (void *)d4};
SEC(".struct_ops") struct tcp_congestion_ops t_i1 = {.init = (void *)i1};
SEC(".struct_ops") struct tcp_congestion_ops t_i2 = {.init = (void *)i2};
SEC(".struct_ops") struct tcp_congestion_ops t_i3 = {.init = (void *)i3};
SEC(".struct_ops") struct tcp_congestion_ops t_i4 = {.init = (void *)i4};
SEC(".struct_ops") struct tcp_congestion_ops t_r1 = {.release = (void *)r1};
SEC(".struct_ops") struct tcp_congestion_ops t_p1 = {.pkts_acked = (void *)p1};
SEC(".struct_ops") struct tcp_congestion_ops t_p2 = {.pkts_acked = (void *)p2};
