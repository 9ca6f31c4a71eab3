// SPDX-License-Identifier: Apache-2.0
// The lives of TCP connections: how long they took to begin, how long they lasted, what they moved; and a table of
// those that there are.
#include "kernel.h"

#define TCP_ESTABLISHED 1
#define TCP_SYN_SENT 2
#define TCP_CLOSE 7
#define AF_INET 2
#define MAX_SLOTS 26

struct birth {
	__u64 time;
	__u32 process;
	__u32 thread;
	char command[16];
};

struct event {
	__u64 time;
	__u64 lasted;
	__u64 sent;
	__u64 received;
	__u32 source;
	__u32 target;
	__u16 source_port;
	__u16 target_port;
	__u32 process;
	__u32 srtt;
	__u32 resent;
	char command[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 10240);
	__type(key, struct sock *);
	__type(value, struct birth);
} births SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, __u32[MAX_SLOTS]);
} histograms SEC(".maps");

const volatile __u16 only_ports[8];
const volatile int port_count;

extern int LINUX_KERNEL_VERSION __kconfig;

static __always_inline _Bool wanted(__u16 port)
{
	if (!port_count)
		return 1;
	for (int i = 0; i < 8; i++) {
		if (i >= port_count)
			break;
		if (only_ports[i] == port)
			return 1;
	}
	return 0;
}

SEC("kprobe/tcp_v4_connect")
int BPF_KPROBE(connecting, struct sock *sk)
{
	struct birth birth = {.time = bpf_ktime_get_ns()};

	birth.process = bpf_get_current_pid_tgid() >> 32;
	birth.thread = bpf_get_current_pid_tgid();
	bpf_get_current_comm(birth.command, sizeof(birth.command));
	bpf_map_update_elem(&births, &sk, &birth, BPF_ANY);
	return 0;
}

SEC("kretprobe/tcp_v4_connect")
int BPF_KRETPROBE(connect_returned, int result)
{
	if (result)
		bpf_printk("connect failed: %d", result);
	return 0;
}

SEC("kprobe/tcp_set_state")
int BPF_KPROBE(state_changed, struct sock *sk, int state)
{
	struct tcp_sock *tp = (struct tcp_sock *)sk;
	struct event *event;
	struct birth *birth;
	__u16 port;

	port = bpf_core_field_exists(sk->__sk_common.skc_dport) ? BPF_CORE_READ(sk, __sk_common.skc_dport) : 0;
	if (BPF_CORE_READ(sk, __sk_common.skc_family) != AF_INET || !wanted(port))
		return 0;
	birth = bpf_map_lookup_elem(&births, &sk);
	if (state == TCP_ESTABLISHED) {
		__u32 key = BPF_CORE_READ(sk, __sk_common.skc_daddr), zero[MAX_SLOTS] = {}, *slots, slot = 0;
		__u64 took;

		if (!birth)
			return 0;
		took = (bpf_ktime_get_ns() - birth->time) / 1000;
		slots = bpf_map_lookup_elem(&histograms, &key);
		if (!slots) {
			bpf_map_update_elem(&histograms, &key, zero, BPF_NOEXIST);
			slots = bpf_map_lookup_elem(&histograms, &key);
			if (!slots)
				return 0;
		}
		for (int i = 0; i < MAX_SLOTS - 1 && took > 1; i++, took >>= 1)
			slot++;
		if (slot < MAX_SLOTS)
			__sync_fetch_and_add(&slots[slot], 1);
		return 0;
	}
	if (state != TCP_CLOSE)
		return 0;
	event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event)
		return 0;
	event->time = bpf_ktime_get_ns();
	event->lasted = birth ? event->time - birth->time : 0;
	event->sent = BPF_CORE_READ(tp, bytes_acked);
	event->received = BPF_CORE_READ(tp, bytes_received);
	event->srtt = BPF_CORE_READ(tp, srtt_us) >> 3;
	event->resent = LINUX_KERNEL_VERSION >= 0x040f00 ? BPF_CORE_READ(tp, total_retrans) : 0;
	event->source = BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr);
	event->target = BPF_CORE_READ(sk, __sk_common.skc_daddr);
	event->source_port = BPF_CORE_READ(sk, __sk_common.skc_num);
	event->target_port = port;
	event->process = birth ? birth->process : 0;
	if (birth)
		__builtin_memcpy(event->command, birth->command, 16);
	else
		bpf_get_current_comm(event->command, 16);
	bpf_ringbuf_submit(event, 0);
	bpf_map_delete_elem(&births, &sk);
	return 0;
}

/* The same with types: the kernel checks each access instead of copying. */
SEC("fentry/tcp_rcv_established")
int BPF_PROG(received, struct sock *sk, struct sk_buff *skb)
{
	struct birth *birth;

	if (sk->__sk_common.skc_family != AF_INET || !wanted(sk->__sk_common.skc_dport))
		return 0;
	birth = bpf_map_lookup_elem(&births, &sk);
	if (birth && skb->len > 1000)
		birth->time = bpf_ktime_get_ns();
	return 0;
}

SEC("iter/tcp")
int table(struct bpf_iter__tcp *ctx)
{
	struct sock_common *sk = ctx->sk_common;
	struct seq_file *seq = ctx->meta->seq;

	if (!sk)
		return 0;
	if (ctx->meta->seq_num == 0)
		BPF_SEQ_PRINTF(seq, "source           target           user\n");
	if (sk->skc_family != AF_INET)
		return 0;
	BPF_SEQ_PRINTF(seq, "%pI4:%-5d %pI4:%-5d %u\n", &sk->skc_rcv_saddr, sk->skc_num, &sk->skc_daddr,
		       __builtin_bswap16(sk->skc_dport), ctx->uid);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
