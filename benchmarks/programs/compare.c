/* Compare the halves of the input: how many bytes differ, and the sum of their distances. */
#include "program.h"

PROGRAM
{
	u32 different = 0, distance = 0;

	if (size < SIZE)
		return 0;
	for (u32 i = 0; i < SIZE / 2; i++) {
		u32 a = mem[i], b = mem[i + SIZE / 2];

		different += a != b;
		distance += a > b ? a - b : b - a;
	}
	return (u64)different << 32 | distance;
}
