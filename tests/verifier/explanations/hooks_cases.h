/* What the programs in C share that are attached to functions: declared before each of them. */
#include "cases.h"

#define TARGET(program) __attribute__((btf_decl_tag("target:" program)))
#define __noinline __attribute__((noinline))

/* The program whose functions are replaced and watched. */
int drops;

__noinline int policy(struct xdp_md *ctx, int port)
{
	return port == 22 ? XDP_DROP : ctx->ingress_ifindex ? XDP_PASS : drops;
}

static __noinline int count(int port)
{
	drops += port;
	return drops * 3;
}

SEC("xdp") int filter(struct xdp_md *ctx)
{
	return policy(ctx, ctx->rx_queue_index) + count(ctx->rx_queue_index) * 0 + (drops & 0);
}
