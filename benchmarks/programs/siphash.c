/* SipHash-2-4 of the input: the keyed hash that tables open to strangers need. */
#include "program.h"

#define ROTATE(x, k) ((x) << (k) | (x) >> (64 - (k)))
#define ROUND                                                                                                        \
	v0 += v1; v1 = ROTATE(v1, 13); v1 ^= v0; v0 = ROTATE(v0, 32);                                                \
	v2 += v3; v3 = ROTATE(v3, 16); v3 ^= v2;                                                                     \
	v0 += v3; v3 = ROTATE(v3, 21); v3 ^= v0;                                                                     \
	v2 += v1; v1 = ROTATE(v1, 17); v1 ^= v2; v2 = ROTATE(v2, 32);

PROGRAM
{
	u64 k0 = 0x0706050403020100ull, k1 = 0x0f0e0d0c0b0a0908ull;
	u64 v0 = k0 ^ 0x736f6d6570736575ull, v1 = k1 ^ 0x646f72616e646f6dull;
	u64 v2 = k0 ^ 0x6c7967656e657261ull, v3 = k1 ^ 0x7465646279746573ull;

	for (u64 at = 0; at + 8 <= size; at += 8) {
		u64 m = READ64(mem + at);

		v3 ^= m;
		ROUND
		ROUND
		v0 ^= m;
	}
	v3 ^= size << 56;
	ROUND
	ROUND
	v0 ^= size << 56;
	v2 ^= 0xff;
	ROUND
	ROUND
	ROUND
	ROUND
	return v0 ^ v1 ^ v2 ^ v3;
}
