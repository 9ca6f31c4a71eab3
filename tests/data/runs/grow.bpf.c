// SPDX-License-Identifier: Apache-2.0
// Puts four bytes and four bytes of metadata before each packet and cuts its end off.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int grow(struct xdp_md *ctx)
{
	unsigned char *data, *end;

	if (bpf_xdp_adjust_head(ctx, -4) || bpf_xdp_adjust_meta(ctx, -4) || bpf_xdp_adjust_tail(ctx, -2))
		return XDP_ABORTED;
	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	if (data + 4 > end)
		return XDP_DROP;
	data[0] = data[1] = data[2] = data[3] = 0xab;
	return XDP_TX;
}

char LICENSE[] SEC("license") = "GPL";
