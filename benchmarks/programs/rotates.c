/* Rotations by amounts from the data, of 32 and 64 bits, as generators of the PCG family end. */
#include "program.h"

static inline u64 rotate64(u64 x, u32 k)
{
	return x << (k & 63) | x >> (-k & 63);
}

static inline u32 rotate32(u32 x, u32 k)
{
	return x >> (k & 31) | x << (-k & 31);
}

PROGRAM
{
	u64 state = 0x853c49e6748fea9bull, out = 0;

	for (u64 at = 0; at + 8 <= size; at += 8) {
		state = state * 6364136223846793005ull + READ64(mem + at);
		out += rotate32((u32)((state >> 18 ^ state) >> 27), (u32)(state >> 59));
		out = rotate64(out, (u32)(state >> 58));
	}
	return out;
}
