/* Counters in an array map, one lookup for each word of the input. */
#ifndef KERNEL
#define KERNEL
#endif
#include "../program.h"

struct {
	int (*type)[2];
	int (*max_entries)[1024];
	u32 *key;
	u64 *value;
} counters __attribute__((section(".maps"), used));

static void *(*const lookup)(void *map, const void *key) = (void *)1;

PROGRAM
{
	u64 sum = 0;

	for (u64 at = 0; at + 8 <= size; at += 8) {
		u32 key = READ32(mem + at) & 1023;
		u64 *value = lookup(&counters, &key);

		if (value)
			sum += ++*value;
	}
	return sum;
}
