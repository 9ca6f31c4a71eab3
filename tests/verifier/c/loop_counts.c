/* A pointer as the number of rounds of bpf_loop. */
#include "expect.h"

static __attribute__((noinline)) int cb(int i, void *c)
{
	return 0;
}

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, int);
	__type(value, long);
} arr SEC(".maps");

long (*lp)(void *n, void *cb, void *ctx, long flags) = (void *)181;
static long (*const loopp)(void *n, void *cb, void *ctx, long flags) = (void *)181;
int g;
SEC("tc")
REJECT("verifier bug: backtracking misuse")
int a(void *c)
{
	return loopp(c, cb, 0, 0);
}

SEC("tc")
REJECT("verifier bug: backtracking misuse")
int b(void *c)
{
	long x = 1;
	asm volatile("" ::"r"(&x) : "memory");
	return loopp(&x, cb, 0, 0);
}

SEC("tc")
REJECT("verifier bug: backtracking misuse")
int d(void *c)
{
	int k = 0;
	long *v = bpf_map_lookup_elem(&arr, &k);
	return loopp(v, cb, 0, 0);
}

SEC("tc")
REJECT("verifier bug: backtracking misuse")
int e(void *c)
{
	int k = 0;
	long *v = bpf_map_lookup_elem(&arr, &k);
	if (!v)
		return 0;
	return loopp(v, cb, 0, 0);
}

SEC("tc")
REJECT("verifier bug: backtracking misuse")
int f(void *c)
{
	return loopp(&g, cb, 0, 0);
}

SEC("tc")
REJECT("verifier bug: backtracking misuse")
int h(void *c)
{
	if (g)
		return loopp(c, cb, 0, 0);
	return 1;
}

SEC("tc")
REJECT("verifier bug: backtracking misuse")
int i(void *c)
{
	return loopp(&arr, cb, 0, 0);
}
