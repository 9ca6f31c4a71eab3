/* The harness itself: one program that is safe, one that is not. */
#include "expect.h"

SEC("xdp")
ACCEPT int nothing(struct xdp_md *ctx)
{
	return XDP_PASS;
}

SEC("xdp")
REJECT("R1 offset is outside of the packet")
int unchecked_packet(struct xdp_md *ctx)
{
	char *data = (char *)(long)ctx->data;

	return data[0];
}
