// SPDX-License-Identifier: Apache-2.0
// A congestion control for TCP: additive increase, multiplicative decrease by a factor of its own, slow start that
// ends early when round trips grow. The kernel calls it through a table of functions.
#include "kernel.h"

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define SHARE 717 /* of 1024: what remains of the window after a loss */

enum tcp_ca_event { CA_EVENT_TX_START, CA_EVENT_CWND_RESTART };

struct ack_sample {
	__u32 pkts_acked;
	__s32 rtt_us;
	__u32 in_flight;
} __attribute__((preserve_access_index));

struct rate_sample;
union tcp_cc_info;

struct tcp_congestion_ops {
	__u32 (*ssthresh)(struct sock *sk);
	void (*cong_avoid)(struct sock *sk, __u32 ack, __u32 acked);
	void (*set_state)(struct sock *sk, __u8 state);
	void (*cwnd_event)(struct sock *sk, enum tcp_ca_event event);
	void (*pkts_acked)(struct sock *sk, const struct ack_sample *sample);
	__u32 (*undo_cwnd)(struct sock *sk);
	void (*init)(struct sock *sk);
	char name[16];
} __attribute__((preserve_access_index));

struct own {
	__u32 last_max;
	__u32 least_rtt;
	__u32 current_rtt;
	__u32 samples;
	__u32 last_window;
	__u8 is_found;
};

extern __u32 tcp_slow_start(struct tcp_sock *tp, __u32 acked) __ksym;
extern void tcp_cong_avoid_ai(struct tcp_sock *tp, __u32 window, __u32 acked) __ksym;

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct own);
} histories SEC(".maps");

__u64 losses, restarts;

static __always_inline struct tcp_sock *tcp_of(struct sock *sk)
{
	return (struct tcp_sock *)sk;
}

static __always_inline struct own *own_of(struct sock *sk)
{
	return (struct own *)((struct inet_connection_sock *)sk)->icsk_ca_priv;
}

SEC("struct_ops/begin")
void BPF_PROG(begin, struct sock *sk)
{
	struct own *own = own_of(sk);

	own->last_max = 0;
	own->least_rtt = ~0U;
	own->current_rtt = 0;
	own->samples = 0;
	own->is_found = 0;
	bpf_sk_storage_get(&histories, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
}

SEC("struct_ops/threshold")
__u32 BPF_PROG(threshold, struct sock *sk)
{
	struct tcp_sock *tp = tcp_of(sk);
	struct own *own = own_of(sk);

	__sync_fetch_and_add(&losses, 1);
	own->last_max = tp->snd_cwnd < own->last_max ? tp->snd_cwnd * (1024 + SHARE) / 2048 : tp->snd_cwnd;
	own->last_window = tp->snd_cwnd;
	return MAX(tp->snd_cwnd * SHARE / 1024, 2U);
}

SEC("struct_ops/avoid")
void BPF_PROG(avoid, struct sock *sk, __u32 ack, __u32 acked)
{
	struct tcp_sock *tp = tcp_of(sk);
	struct own *own = own_of(sk);

	if (tp->packets_out < tp->snd_cwnd / 2)
		return;
	if (tp->snd_cwnd < tp->snd_ssthresh) {
		acked = tcp_slow_start(tp, acked);
		if (!acked)
			return;
	}
	tcp_cong_avoid_ai(tp, own->last_max > tp->snd_cwnd ? tp->snd_cwnd / 2 : tp->snd_cwnd, acked);
}

SEC("struct_ops/acked")
void BPF_PROG(acked, struct sock *sk, const struct ack_sample *sample)
{
	struct tcp_sock *tp = tcp_of(sk);
	struct own *own = own_of(sk), *history;
	__u32 rtt = sample->rtt_us;

	if (sample->rtt_us < 0 || own->is_found)
		return;
	own->least_rtt = MIN(own->least_rtt, rtt);
	if (own->samples < 8) {
		own->current_rtt = own->current_rtt ? MIN(own->current_rtt, rtt) : rtt;
		own->samples++;
		return;
	}
	if (own->current_rtt > own->least_rtt + own->least_rtt / 8) {
		own->is_found = 1;
		tp->snd_ssthresh = tp->snd_cwnd;
		history = bpf_sk_storage_get(&histories, sk, 0, 0);
		if (history)
			*history = *own;
	}
	own->samples = own->current_rtt = 0;
}

SEC("struct_ops/event")
void BPF_PROG(event, struct sock *sk, enum tcp_ca_event what)
{
	if (what == CA_EVENT_CWND_RESTART)
		__sync_fetch_and_add(&restarts, 1);
}

SEC("struct_ops/undo")
__u32 BPF_PROG(undo, struct sock *sk)
{
	return MAX(tcp_of(sk)->snd_cwnd, own_of(sk)->last_window);
}

SEC(".struct_ops.link")
struct tcp_congestion_ops steady = {
	.init = (void *)begin,
	.ssthresh = (void *)threshold,
	.cong_avoid = (void *)avoid,
	.pkts_acked = (void *)acked,
	.cwnd_event = (void *)event,
	.undo_cwnd = (void *)undo,
	.name = "bpf_steady",
};

char LICENSE[] SEC("license") = "GPL";
