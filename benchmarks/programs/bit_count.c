/* Count and find bits in words, and count those that changed, without instructions made for it. */
#include "program.h"

static inline u64 count(u64 x)
{
	x -= x >> 1 & 0x5555555555555555ull;
	x = (x & 0x3333333333333333ull) + (x >> 2 & 0x3333333333333333ull);
	x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0full;
	return x * 0x0101010101010101ull >> 56;
}

PROGRAM
{
	u64 total = 0, changed = 0, lowest = 0, previous = 0;

	for (u64 at = 0; at + 8 <= size; at += 8) {
		u64 word = READ64(mem + at);

		total += count(word);
		changed += count(word ^ previous);
		lowest += count((word & -word) - 1);
		previous = word;
	}
	return total ^ changed << 24 ^ lowest << 48;
}
