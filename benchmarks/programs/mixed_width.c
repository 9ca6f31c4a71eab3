/* Fixed-point filters: 32-bit samples, 64-bit products, signed and unsigned, narrowed again at each step. */
#include "program.h"

PROGRAM
{
	s32 x1 = 0, x2 = 0, y1 = 0, y2 = 0;
	u32 peak = 0;
	u64 energy = 0;

	for (u64 at = 0; at + 4 <= size; at += 4) {
		s32 x = (s32)READ32(mem + at) >> 8;
		s64 wide = (s64)x * 4660 + (s64)x1 * 9320 + (s64)x2 * 4660 + (s64)y1 * 20000 - (s64)y2 * 7000;
		s32 y = (s32)(wide >> 16);
		u32 size_of_y = y < 0 ? -(u32)y : (u32)y;

		x2 = x1;
		x1 = x;
		y2 = y1;
		y1 = y;
		if (size_of_y > peak)
			peak = size_of_y;
		energy += (u64)size_of_y * size_of_y >> 20;
	}
	return energy ^ (u64)peak << 32 ^ (u32)y1;
}
