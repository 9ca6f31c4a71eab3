/* A generator of numbers folded with the input: multiplications, additions and shifts in one dependent chain. */
#include "program.h"

PROGRAM
{
	u64 state = 88172645463325252ull, sum = 0;

	for (u64 at = 0; at + 8 <= size; at += 8) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		sum += (state * 0x2545f4914f6cdd1dull) ^ READ64(mem + at);
		if (sum & 1)
			sum = sum * 3 + 1;
		else
			sum >>= 1;
	}
	return sum;
}
