/* Sort groups of 16 numbers in an array on the stack. */
#include "program.h"

PROGRAM
{
	u64 digest = 0;

	for (u64 base = 0; base + 64 <= size; base += 64) {
		u32 numbers[16];

		for (u32 i = 0; i < 16; i++)
			numbers[i] = READ32(mem + base + 4 * i);
		for (u32 i = 1; i < 16; i++) {
			u32 value = numbers[i];
			u32 j = i;

			while (j > 0 && j < 16 && numbers[j - 1] > value) {
				numbers[j] = numbers[j - 1];
				j--;
			}
			numbers[j & 15] = value;
		}
		for (u32 i = 0; i < 16; i++)
			digest = digest * 31 + numbers[i];
	}
	return digest;
}
