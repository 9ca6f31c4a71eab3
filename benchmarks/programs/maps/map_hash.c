/* A hash map that is filled first; then one lookup for each word of the input, half of them in vain. */
#ifndef KERNEL
#define KERNEL
#endif
#include "../program.h"

struct {
	int (*type)[1];
	int (*max_entries)[4096];
	u64 *key;
	u64 *value;
} flows __attribute__((section(".maps"), used));

static void *(*const lookup)(void *map, const void *key) = (void *)1;
static long (*const update)(void *map, const void *key, const void *value, u64 flags) = (void *)2;

PROGRAM
{
	u64 sum = 0;

	for (u64 at = 0; at + 16 <= size; at += 16) {
		u64 key = READ64(mem + at) & 0xffff, value = at;

		update(&flows, &key, &value, 0);
	}
	for (u64 at = 0; at + 8 <= size; at += 8) {
		u64 key = READ64(mem + at) & 0xffff;
		u64 *value = lookup(&flows, &key);

		if (value)
			sum += ++*value;
	}
	return sum;
}
