/* Static functions: what a call leaves behind. */
#include "expect.h"

/* No result: nobody looks at r0. */
static __attribute__((naked, noinline)) int without_result(void)
{
	asm volatile("exit");
}

SEC("xdp")
ACCEPT int result_is_not_used(struct xdp_md *ctx)
{
	asm volatile("call %[callee]" ::[callee] "i"(without_result) : "r0", "r1", "r2", "r3", "r4", "r5");
	return XDP_PASS;
}

SEC("xdp")
REJECT("R0 !read_ok")
__attribute__((naked)) int result_is_used(struct xdp_md *ctx)
{
	asm volatile("call %[callee]; exit" ::[callee] "i"(without_result));
}
