/* Variables in every kind of data section, seen from outside and not; results that depend on all of them. */
#include "bpf.h"

enum mode { QUIET, LOUD = 5 };

struct settings {
	u32 limit;
	enum mode mode;
	u8 low : 3;
	u8 high : 5;
	char name[12];
};

volatile u32 counter = 41;
volatile u64 zeroes[4];
static volatile u16 hidden = 0x1234;
static volatile u64 hidden_zero;
const volatile u32 threshold = 10;
static const volatile u64 table[5] = { 1, 20, 300, 4000, 50000 };
volatile struct settings settings = { 99, LOUD, 5, 17, "skep" };
volatile s32 negative = -3;
const volatile _Bool enabled = 1;
volatile u32 named SEC(".data.named") = 7;
volatile u64 named_zero SEC(".bss.named");
static const volatile u32 only_static SEC(".rodata.named") = 11;

SEC("xdp")
int sum(struct xdp_md *ctx)
{
	counter += 1;
	zeroes[2] += 2;
	hidden_zero += 1;
	named_zero += 3;
	return counter + zeroes[2] + hidden + hidden_zero + threshold + table[ctx->rx_queue_index & 3] + settings.limit +
	       negative + enabled + named + named_zero + only_static;
}

char license_text[] SEC("license") = "Apache-2.0";
