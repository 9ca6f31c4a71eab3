/* A table of programs that the kernel calls. */
#include "bpf.h"

struct sock;

struct tcp_congestion_ops {
	void (*init)(struct sock *sk);
	u32 (*ssthresh)(struct sock *sk);
	u32 flags;
	char name[16];
};

SEC("struct_ops/init")
void begin(u64 *ctx)
{
}

SEC("struct_ops/ssthresh")
u32 threshold(u64 *ctx)
{
	return 42;
}

struct tcp_congestion_ops skep_cc SEC(".struct_ops.link") = {
	.init = (void *)begin,
	.ssthresh = (void *)threshold,
	.flags = 3,
	.name = "skep",
};

char license_text[] SEC("license") = "GPL";
