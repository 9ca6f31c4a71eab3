// SPDX-License-Identifier: Apache-2.0
// Prints the length of each packet.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int hello(struct xdp_md *ctx)
{
	bpf_printk("%d bytes on %u", ctx->data_end - ctx->data, ctx->ingress_ifindex);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
