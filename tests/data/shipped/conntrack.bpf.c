// SPDX-License-Identifier: Apache-2.0
// Connection tracking: one entry for both directions, the states of TCP, a lock around what both sides change, a timer
// that forgets connections that nobody uses. Only replies come in from outside.
#include <linux/pkt_cls.h>
#include "headers.h"

#define CLOCK_BOOTTIME 7

enum state { NONE, SYN_SENT, SYN_RECEIVED, ESTABLISHED, FIN_WAIT, CLOSE_WAIT, LAST_ACK, TIME_WAIT, CLOSED, STATES };

enum { FIN_FLAG = 1, SYN_FLAG = 2, RST_FLAG = 4, ACK_FLAG = 16 };

struct tuple {
	__be32 low;
	__be32 high;
	__be16 low_port;
	__be16 high_port;
	__u8 protocol;
	__u8 unused[3];
};

struct connection {
	struct bpf_spin_lock lock;
	__u32 state;
	__u32 packets[2];
	__u64 bytes[2];
	__u64 last;
	__u32 expected[2];
	__u8 from_low;
	__u8 flags;
	__u16 mark;
};

struct expiry {
	struct bpf_timer timer;
	__u64 deadline;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct tuple);
	__type(value, struct connection);
} connections SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct tuple);
	__type(value, struct expiry);
} expiries SEC(".maps");

const volatile __u64 timeouts[STATES] = {
	[NONE] = 30, [SYN_SENT] = 120, [SYN_RECEIVED] = 60, [ESTABLISHED] = 432000, [FIN_WAIT] = 120,
	[CLOSE_WAIT] = 60, [LAST_ACK] = 30, [TIME_WAIT] = 120, [CLOSED] = 10,
};

__u64 dropped, expired;

struct segment {
	struct tuple tuple;
	__u32 sequence;
	__u32 payload;
	__u8 flags;
	__u8 from_low;
};

static __always_inline int read_segment(struct __sk_buff *skb, struct segment *segment)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct ethhdr *ethernet = data;
	struct iphdr *ip;
	struct tcphdr *tcp;
	__u32 needed = sizeof(*ethernet) + sizeof(*ip) + sizeof(*tcp);

	if (data + needed > end) {
		bpf_skb_pull_data(skb, needed);
		data = (void *)(long)skb->data;
		end = (void *)(long)skb->data_end;
		if (data + needed > end)
			return 1;
	}
	ethernet = data;
	ip = (void *)(ethernet + 1);
	if (ethernet->h_proto != bpf_htons(ETH_P_IP) || ip->ihl != 5)
		return 1;
	if (ip->protocol != IPPROTO_TCP)
		return 1;
	tcp = (void *)(ip + 1);
	segment->from_low = bpf_ntohl(ip->saddr) < bpf_ntohl(ip->daddr);
	segment->tuple.low = segment->from_low ? ip->saddr : ip->daddr;
	segment->tuple.high = segment->from_low ? ip->daddr : ip->saddr;
	segment->tuple.low_port = segment->from_low ? tcp->source : tcp->dest;
	segment->tuple.high_port = segment->from_low ? tcp->dest : tcp->source;
	segment->tuple.protocol = ip->protocol;
	segment->flags = ((__u8 *)tcp)[13];
	segment->sequence = bpf_ntohl(tcp->seq);
	segment->payload = bpf_ntohs(ip->tot_len) - sizeof(*ip) - tcp->doff * 4;
	return 0;
}

static __always_inline __u32 next_state(__u32 state, __u8 flags, _Bool forward)
{
	if (flags & RST_FLAG)
		return CLOSED;
	switch (state) {
	case NONE:
		return flags & SYN_FLAG && !(flags & ACK_FLAG) ? SYN_SENT : NONE;
	case SYN_SENT:
		return !forward && (flags & (SYN_FLAG | ACK_FLAG)) == (SYN_FLAG | ACK_FLAG) ? SYN_RECEIVED : state;
	case SYN_RECEIVED:
		return forward && flags & ACK_FLAG ? ESTABLISHED : state;
	case ESTABLISHED:
		return flags & FIN_FLAG ? forward ? FIN_WAIT : CLOSE_WAIT : state;
	case FIN_WAIT:
		return !forward && flags & FIN_FLAG ? TIME_WAIT : state;
	case CLOSE_WAIT:
		return forward && flags & FIN_FLAG ? LAST_ACK : state;
	case LAST_ACK:
		return flags & ACK_FLAG ? CLOSED : state;
	}
	return state;
}

static int forget(void *map, struct tuple *tuple, struct expiry *expiry)
{
	struct connection *connection = bpf_map_lookup_elem(&connections, tuple);
	__u64 now = bpf_ktime_get_boot_ns();

	if (connection && now < expiry->deadline) {
		bpf_timer_start(&expiry->timer, expiry->deadline - now, 0);
		return 0;
	}
	bpf_map_delete_elem(&connections, tuple);
	__sync_fetch_and_add(&expired, 1);
	return 0;
}

static __noinline int begin(struct segment *segment)
{
	struct connection connection = {};
	struct expiry empty = {}, *expiry;
	__u64 now = bpf_ktime_get_boot_ns();

	connection.state = SYN_SENT;
	connection.from_low = segment->from_low;
	connection.last = now;
	connection.expected[0] = segment->sequence + 1;
	if (bpf_map_update_elem(&connections, &segment->tuple, &connection, BPF_NOEXIST))
		return -1;
	bpf_map_update_elem(&expiries, &segment->tuple, &empty, BPF_ANY);
	expiry = bpf_map_lookup_elem(&expiries, &segment->tuple);
	if (!expiry)
		return -1;
	expiry->deadline = now + timeouts[SYN_SENT] * 1000000000ULL;
	if (bpf_timer_init(&expiry->timer, &expiries, CLOCK_BOOTTIME))
		return -1;
	bpf_timer_set_callback(&expiry->timer, forget);
	return bpf_timer_start(&expiry->timer, timeouts[SYN_SENT] * 1000000000ULL, 0);
}

static __always_inline int track(struct __sk_buff *skb, _Bool outgoing)
{
	struct connection *connection;
	struct segment segment = {};
	struct expiry *expiry;
	_Bool forward, known = 1;
	__u64 now, deadline;
	__u32 state;

	if (read_segment(skb, &segment))
		return TC_ACT_OK;
	connection = bpf_map_lookup_elem(&connections, &segment.tuple);
	if (!connection) {
		if (outgoing && (segment.flags & (SYN_FLAG | ACK_FLAG)) == SYN_FLAG && begin(&segment) == 0)
			return TC_ACT_OK;
		__sync_fetch_and_add(&dropped, 1);
		return outgoing ? TC_ACT_OK : TC_ACT_SHOT;
	}
	now = bpf_ktime_get_boot_ns();
	bpf_spin_lock(&connection->lock);
	forward = segment.from_low == connection->from_low;
	state = next_state(connection->state, segment.flags, forward);
	if (state == NONE || state >= STATES) {
		known = 0;
	} else {
		connection->state = state;
		connection->last = now;
		if (forward) {
			connection->packets[0]++;
			connection->bytes[0] += skb->len;
			connection->expected[0] = segment.sequence + segment.payload;
		} else {
			connection->packets[1]++;
			connection->bytes[1] += skb->len;
			connection->expected[1] = segment.sequence + segment.payload;
		}
	}
	bpf_spin_unlock(&connection->lock);
	if (!known)
		return TC_ACT_SHOT;
	deadline = now + timeouts[state < STATES ? state : 0] * 1000000000ULL;
	expiry = bpf_map_lookup_elem(&expiries, &segment.tuple);
	if (expiry) {
		expiry->deadline = deadline;
		if (state == CLOSED)
			bpf_timer_cancel(&expiry->timer);
	}
	if (state == CLOSED) {
		bpf_map_delete_elem(&expiries, &segment.tuple);
		bpf_map_delete_elem(&connections, &segment.tuple);
	}
	skb->mark = state;
	return TC_ACT_OK;
}

SEC("tc")
int from_inside(struct __sk_buff *skb)
{
	return track(skb, 1);
}

SEC("tc")
int from_outside(struct __sk_buff *skb)
{
	return track(skb, 0);
}

char LICENSE[] SEC("license") = "GPL";
