/* Smallest, largest and sum of 32-bit samples, and how many lie above a threshold. */
#include "program.h"

PROGRAM
{
	u32 smallest = ~0u, largest = 0, above = 0;
	u64 sum = 0;

	for (u64 at = 0; at + 4 <= size; at += 4) {
		u32 sample = READ32(mem + at);

		if (sample < smallest)
			smallest = sample;
		if (sample > largest)
			largest = sample;
		above += sample > 0x80000000;
		sum += sample;
	}
	return sum ^ (u64)smallest << 32 ^ largest ^ (u64)above << 40;
}
