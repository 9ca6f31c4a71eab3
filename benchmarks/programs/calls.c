/* Three subprograms that are not inlined, one of them called with the address of a variable of its caller. */
#include "program.h"

struct totals {
	u64 sum;
	u32 longest;
	u32 current;
};

static __attribute__((noinline)) u32 classify(u32 value)
{
	if (value < 16)
		return 0;
	if (value < 128)
		return value & 1 ? 1 : 2;
	return 3;
}

static __attribute__((noinline)) u64 weigh(u64 value, u32 class)
{
	return (value << class) + (value >> 3) * class;
}

static __attribute__((noinline)) u64 account(struct totals *totals, u64 weight, u32 class)
{
	totals->sum += weight;
	if (class == 3) {
		totals->current++;
		if (totals->current > totals->longest)
			totals->longest = totals->current;
	} else {
		totals->current = 0;
	}
	return totals->sum;
}

PROGRAM
{
	struct totals totals = {};
	u64 last = 0;

	for (u64 at = 0; at < size; at++) {
		u32 class = classify(mem[at]);

		last ^= account(&totals, weigh(mem[at] + at, class), class);
	}
	return last ^ (u64)totals.longest << 48;
}
