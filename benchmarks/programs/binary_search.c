/* Binary searches in a table made of the first half of the input, for keys from the second. */
#include "program.h"

#define ENTRIES (SIZE / 8)

PROGRAM
{
	u32 table[64];
	u64 found = 0;

	if (size < SIZE)
		return 0;
	for (u32 i = 0; i < 64; i++)
		table[i] = i * 67108864u + (READ32(mem + 4 * i) & 0xfffff);
	for (u32 k = 0; k < ENTRIES; k++) {
		u32 key = READ32(mem + SIZE / 2 + 4 * k);
		u32 low = 0, high = 64;

		for (u32 step = 0; step < 7 && low < high; step++) {
			u32 middle = (low + high) / 2;

			if (table[middle & 63] < key)
				low = middle + 1;
			else
				high = middle;
		}
		found = found * 31 + low;
	}
	return found;
}
