/* A filter of sixteen taps over 16-bit samples. */
#include "program.h"

PROGRAM
{
	u64 energy = 0;

	for (u64 at = 0; at + 32 <= size; at += 4) {
		s32 sum = 0;

		for (u32 tap = 0; tap < 16; tap++)
			sum += (s32)(signed short)READ16(mem + at + 2 * tap) * (s32)(tap * 37 - 280);
		energy += (u32)(sum >> 8);
	}
	return energy;
}
