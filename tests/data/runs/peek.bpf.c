// SPDX-License-Identifier: Apache-2.0
// Reads a byte without asking whether the packet has it.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int peek(struct xdp_md *ctx)
{
	unsigned char *data = (void *)(long)ctx->data;

	return data[60] ? XDP_DROP : XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
