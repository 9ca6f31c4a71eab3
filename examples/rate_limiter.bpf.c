// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
// A token bucket for each IPv4 source: a packet costs one token, tokens come back with time, no token means a drop.
// Refill and spending are one step under the bucket's bpf_spin_lock, so that no token is spent twice on two CPUs.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define NANOSECONDS 1000000000ULL

struct bucket {
	struct bpf_spin_lock lock;
	__u32 dropped;
	__u64 tokens;
	__u64 refilled_at;
	__u64 passed;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __be32);
	__type(value, struct bucket);
} buckets SEC(".maps");

// Tokens a second, and how many a bucket holds.
const volatile __u64 rate = 1000;
const volatile __u64 burst = 20;

SEC("xdp")
int limit(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	struct ethhdr *ethernet = data;
	struct iphdr *ip = (void *)(ethernet + 1);
	struct bucket *bucket;
	__u64 now, gained;
	int verdict = XDP_PASS;
	__be32 source;

	if ((void *)(ip + 1) > end || ethernet->h_proto != bpf_htons(ETH_P_IP))
		return XDP_PASS;

	source = ip->saddr;
	bucket = bpf_map_lookup_elem(&buckets, &source);
	if (!bucket) {
		struct bucket full = { .tokens = burst };

		bpf_map_update_elem(&buckets, &source, &full, BPF_NOEXIST);
		bucket = bpf_map_lookup_elem(&buckets, &source);
		if (!bucket)
			return XDP_ABORTED;
	}

	now = bpf_ktime_get_ns();
	bpf_spin_lock(&bucket->lock);
	if (!bucket->refilled_at)
		bucket->refilled_at = now;
	gained = (now - bucket->refilled_at) * rate / NANOSECONDS;
	if (gained) {
		bucket->tokens += gained;
		if (bucket->tokens > burst)
			bucket->tokens = burst;
		bucket->refilled_at += gained * NANOSECONDS / rate;
	}
	if (bucket->tokens) {
		bucket->tokens -= 1;
		bucket->passed += 1;
	} else {
		bucket->dropped += 1;
		verdict = XDP_DROP;
	}
	bpf_spin_unlock(&bucket->lock);
	return verdict;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
