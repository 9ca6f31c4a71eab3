/* A histogram of bytes in a global array, which in BPF is the value of a map, and its weighted sum. */
#include "program.h"

static u32 buckets[256];

PROGRAM
{
	u64 sum = 0;

	for (u64 at = 0; at < size; at++)
		buckets[mem[at]]++;
	for (u32 i = 0; i < 256; i++) {
		sum = sum * 3 + (u64)buckets[i] * i;
		buckets[i] = 0;
	}
	return sum;
}
