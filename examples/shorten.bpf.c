// SPDX-License-Identifier: Apache-2.0
// Drops what is longer than a limit: the first program of the README.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

const volatile __u32 longest = 100;
__u64 dropped = 0;

SEC("xdp")
int shorten(struct xdp_md *ctx)
{
	if (ctx->data_end - ctx->data <= longest)
		return XDP_PASS;
	__sync_fetch_and_add(&dropped, 1);
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "Apache-2.0";
