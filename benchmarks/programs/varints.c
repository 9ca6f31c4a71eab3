/* Decode numbers of one to five bytes, seven bits in each, as many wire formats have them, and undo zigzag. */
#include "program.h"

PROGRAM
{
	u64 at = 0, numbers = 0;
	s64 sum = 0;

	while (at + 5 <= size) {
		u32 value = 0, shift = 0;

		for (u32 i = 0; i < 5; i++) {
			u32 byte = mem[at & (SIZE - 1)];

			at++;
			value |= (byte & 127) << shift;
			shift += 7;
			if (byte < 128)
				break;
		}
		sum += (s32)(value >> 1 ^ -(value & 1));
		numbers++;
	}
	return sum ^ numbers << 48;
}
