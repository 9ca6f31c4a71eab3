// SPDX-License-Identifier: Apache-2.0
// Returns where a member of a kernel structure lies, which only the loader knows.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

struct sk_buff {
	unsigned int len;
} __attribute__((preserve_access_index));

SEC("xdp")
int offset(struct xdp_md *ctx)
{
	return bpf_core_field_offset(struct sk_buff, len);
}

char LICENSE[] SEC("license") = "GPL";
