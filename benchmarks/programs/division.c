/* Divisions and remainders by numbers from the input, of 32 and 64 bits, and by constants. */
#include "program.h"

PROGRAM
{
	u64 sum = 1;
	u32 small = 1;

	for (u64 at = 0; at + 16 <= size; at += 16) {
		u32 divisor = READ32(mem + at) & 0xffff;
		u64 wide = READ64(mem + at + 8);

		if (!divisor)
			divisor = 7;
		small += READ32(mem + at + 4) / divisor;
		small ^= READ32(mem + at + 4) % divisor;
		sum += wide / (divisor | 1ull << 33);
		sum ^= wide % 1000003 + wide / 10;
	}
	return sum + small;
}
