/* Functions whose address is taken but that no path enters. */
#include "objects.h"

static int first(int i, void *x)
{
	return 0;
}

static int second(int i, void *x)
{
	return 0;
}

static __noinline int triple(int n)
{
	return n * 3;
}

SEC("tc")
ACCEPT int alone(void *ctx)
{
	bpf_loop(0, first, 0, 0);
	return 0;
}

SEC("tc")
ACCEPT int before_others(struct __sk_buff *ctx)
{
	bpf_loop(0, first, 0, 0);
	return triple(ctx->len);
}

SEC("tc")
ACCEPT int beside_another(struct __sk_buff *ctx)
{
	bpf_loop(0, first, 0, 0);
	bpf_loop(2, second, 0, 0);
	return triple(ctx->len);
}

__noinline int takes_address(int n)
{
	long x;
	asm volatile("%0 = %1 ll" : "=r"(x) : "i"(first));
	return n;
}

SEC("tc")
REJECT("verifier bug: No program to jit at insn 9 (subprog < 0)") int behind_all(struct __sk_buff *ctx)
{
	return takes_address(ctx->len);
}
