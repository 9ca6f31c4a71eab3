/* Copy the first half of the input over the second, 8 bytes at a time, with a key mixed in; then sum it. */
#include "program.h"

PROGRAM
{
	u64 sum = 0, key = 0x0123456789abcdefull;

	if (size < SIZE)
		return 0;
	for (u32 i = 0; i < SIZE / 2; i += 8)
		*(u64 *)(mem + SIZE / 2 + i) = READ64(mem + i) ^ key;
	for (u32 i = 0; i < SIZE / 2; i += 4)
		sum += READ32(mem + SIZE / 2 + i);
	return sum;
}
