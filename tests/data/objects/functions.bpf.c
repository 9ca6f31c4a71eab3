/* Programs that share static and global functions, across sections, directly, through others and as callbacks. */
#include "bpf.h"

static volatile u64 calls;

static NOINLINE u32 leaf(u32 value)
{
	calls += 1;
	return value * 3 + 1;
}

static NOINLINE u32 middle(u32 value)
{
	return leaf(value) ^ leaf(value + 7);
}

NOINLINE u32 global_function(u32 value)
{
	calls += 1;
	return middle(value) + 5;
}

HIDDEN NOINLINE u32 hidden_function(u32 value)
{
	calls += 1;
	return value / 3;
}

WEAK NOINLINE u32 weak_function(u32 value)
{
	calls += 1;
	return global_function(value) * 2;
}

struct state {
	u64 sum;
};

static long add_index(u32 index, struct state *state)
{
	state->sum += leaf(index);
	return 0;
}

SEC("xdp")
int plain(struct xdp_md *ctx)
{
	return 2;
}

SEC("xdp")
int calls_middle(struct xdp_md *ctx)
{
	return middle(ctx->rx_queue_index) & 0xff;
}

SEC("tc")
int calls_weak(u32 *ctx)
{
	return (weak_function(ctx[0]) + hidden_function(ctx[0])) & 0xff;
}

SEC("xdp.frags")
int calls_back(struct xdp_md *ctx)
{
	struct state state = { 0 };

	loop(10, add_index, &state, 0);
	return (state.sum + global_function(1)) & 0xff;
}

SEC("fentry.s/some_function")
int traced(u64 *ctx)
{
	return leaf(ctx[0]);
}

char license_text[] SEC("license") = "GPL";
