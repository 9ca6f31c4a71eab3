// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
// A firewall: denied networks by longest prefix, open ports as a bitmap, a token bucket for each source, and a record of
// each packet that was dropped.
#include "packets.h"

#define SECOND 1000000000ULL

struct network4 {
	__u32 length;
	__u8 address[4];
};

struct network6 {
	__u32 length;
	__u8 address[16];
};

struct bucket {
	struct bpf_spin_lock lock;
	__u32 tokens;
	__u64 filled_at;
};

enum reason { UNPARSED, NETWORK, PORT, RATE, REASONS };

struct drop {
	__u64 time;
	__u32 reason;
	__u32 length;
	__u8 source[16];
	__be16 port;
	__u8 protocol;
	__u8 family;
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 10000);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct network4);
	__type(value, __u32);
} denied4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 10000);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct network6);
	__type(value, __u32);
} denied6 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2 * 1024);
	__type(key, __u32);
	__type(value, __u64);
} open_ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, __u8[16]);
	__type(value, struct bucket);
} buckets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, REASONS);
	__type(key, __u32);
	__type(value, __u64);
} drops SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
} records SEC(".maps");

const volatile __u32 rate = 1000;
const volatile __u32 burst = 100;
const volatile _Bool keep_records = 1;

struct packet {
	__u8 source[16];
	__u32 length;
	__be16 port;
	__u8 protocol;
	__u8 family;
};

static __noinline int dropped(const struct packet *packet, enum reason reason)
{
	__u32 key = reason;
	__u64 *count = bpf_map_lookup_elem(&drops, &key);
	struct drop *record;

	if (count)
		(*count)++;
	if (!keep_records)
		return XDP_DROP;
	record = bpf_ringbuf_reserve(&records, sizeof(*record), 0);
	if (!record)
		return XDP_DROP;
	record->time = bpf_ktime_get_ns();
	record->reason = reason;
	record->length = packet->length;
	__builtin_memcpy(record->source, packet->source, sizeof(record->source));
	record->port = packet->port;
	record->protocol = packet->protocol;
	record->family = packet->family;
	bpf_ringbuf_submit(record, reason == RATE ? BPF_RB_NO_WAKEUP : 0);
	return XDP_DROP;
}

static __always_inline _Bool is_open(__be16 port, __u8 protocol)
{
	__u32 number = bpf_ntohs(port);
	__u32 word = number / 64 + (protocol == IPPROTO_UDP ? 1024 : 0);
	__u64 *bits = bpf_map_lookup_elem(&open_ports, &word);

	return bits && *bits >> number % 64 & 1;
}

static __always_inline _Bool within_rate(const __u8 *source)
{
	struct bucket *bucket = bpf_map_lookup_elem(&buckets, source);
	__u64 now = bpf_ktime_get_ns(), gained;
	_Bool passes = 0;

	if (!bucket) {
		struct bucket full = { .tokens = burst, .filled_at = now };

		bpf_map_update_elem(&buckets, source, &full, BPF_NOEXIST);
		return 1;
	}
	bpf_spin_lock(&bucket->lock);
	gained = (now - bucket->filled_at) * rate / SECOND;
	if (gained) {
		bucket->tokens = gained + bucket->tokens > burst ? burst : bucket->tokens + gained;
		bucket->filled_at = now;
	}
	if (bucket->tokens) {
		bucket->tokens--;
		passes = 1;
	}
	bpf_spin_unlock(&bucket->lock);
	return passes;
}

static __always_inline int parsed(struct cursor *cursor, struct packet *packet)
{
	struct ethhdr *ethernet;
	int protocol = link_layer(cursor, &ethernet);

	if (protocol == bpf_htons(ETH_P_IP)) {
		struct iphdr *ip = ipv4(cursor);

		if (!ip)
			return -1;
		packet->family = 4;
		packet->protocol = ip->protocol;
		__builtin_memcpy(packet->source, &ip->saddr, 4);
	} else if (protocol == bpf_htons(ETH_P_IPV6)) {
		struct ipv6hdr *ip = TAKE(cursor, struct ipv6hdr);

		if (!ip)
			return -1;
		packet->family = 6;
		packet->protocol = ip->nexthdr;
		__builtin_memcpy(packet->source, &ip->saddr, 16);
	} else {
		return protocol < 0 ? -1 : 0;
	}
	if (packet->protocol == IPPROTO_TCP) {
		struct tcphdr *tcp = TAKE(cursor, struct tcphdr);

		if (!tcp)
			return -1;
		packet->port = tcp->dest;
	} else if (packet->protocol == IPPROTO_UDP) {
		struct udphdr *udp = TAKE(cursor, struct udphdr);

		if (!udp)
			return -1;
		packet->port = udp->dest;
	}
	return 1;
}

SEC("xdp")
int guard(struct xdp_md *ctx)
{
	struct cursor cursor = { (void *)(long)ctx->data, (void *)(long)ctx->data_end };
	struct packet packet = { .length = ctx->data_end - ctx->data };
	int known = parsed(&cursor, &packet);

	if (known < 0)
		return dropped(&packet, UNPARSED);
	if (!known)
		return XDP_PASS;
	if (packet.family == 4) {
		struct network4 network = { .length = 32 };

		__builtin_memcpy(network.address, packet.source, 4);
		if (bpf_map_lookup_elem(&denied4, &network))
			return dropped(&packet, NETWORK);
	} else {
		struct network6 network = { .length = 128 };

		__builtin_memcpy(network.address, packet.source, 16);
		if (bpf_map_lookup_elem(&denied6, &network))
			return dropped(&packet, NETWORK);
	}
	if (packet.port && !is_open(packet.port, packet.protocol))
		return dropped(&packet, PORT);
	if (!within_rate(packet.source))
		return dropped(&packet, RATE);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
