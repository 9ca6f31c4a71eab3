/* Packets of the kernel as dynptrs, in programs that trace it. */
#include "on_stack.h"

struct sk_buff {
	u32 len;
} CORE;

SEC("tp_btf/kfree_skb")
ACCEPT int tp_skb(u64 *ctx)
{
	struct bpf_dynptr p;
	struct sk_buff *skb = (void *)ctx[0];
	bpf_dynptr_from_skb((void *)skb, 0, &p);
	return 0;
}

SEC("tp_btf/kfree_skb")
REJECT("arg#0 pointer type STRUCT __sk_buff must point to scalar, or struct with scalar") int tp_ctx(u64 *ctx)
{
	struct bpf_dynptr p;
	bpf_dynptr_from_skb((void *)ctx, 0, &p);
	return 0;
}

SEC("tp_btf/kfree_skb")
ACCEPT int tp_slice(u64 *ctx)
{
	struct bpf_dynptr p;
	char buf[8];
	char *s;
	struct sk_buff *skb = (void *)ctx[0];
	bpf_dynptr_from_skb((void *)skb, 0, &p);
	s = bpf_dynptr_slice(&p, 0, buf, 8);
	return s ? s[0] : 0;
}

SEC("tp_btf/kfree_skb")
REJECT("the prog does not allow writes to packet data") int tp_slice_rdwr(u64 *ctx)
{
	struct bpf_dynptr p;
	char buf[8];
	char *s;
	struct sk_buff *skb = (void *)ctx[0];
	bpf_dynptr_from_skb((void *)skb, 0, &p);
	s = bpf_dynptr_slice_rdwr(&p, 0, buf, 8);
	return s ? s[0] : 0;
}

SEC("tp_btf/kfree_skb")
ACCEPT int tp_write(u64 *ctx)
{
	struct bpf_dynptr p;
	char buf[8] = {};
	struct sk_buff *skb = (void *)ctx[0];
	bpf_dynptr_from_skb((void *)skb, 0, &p);
	bpf_dynptr_write(&p, 0, buf, 8, 0);
	return 0;
}

SEC("netfilter")
REJECT("kernel function bpf_dynptr_from_skb args#0 expected pointer to STRUCT __sk_buff but R1 has a pointer to STRUCT nf_hook_state") int nf(u64 *ctx)
{
	struct bpf_dynptr p;
	char buf[8] = {};
	struct sk_buff *skb = (void *)ctx[0];
	bpf_dynptr_from_skb((void *)skb, 0, &p);
	return 0;
}

