/* A hash of 32-byte blocks in four lanes with constant rotations, in the manner of xxHash. */
#include "program.h"

#define P1 0x9e3779b185ebca87ull
#define P2 0xc2b2ae3d27d4eb4full
#define ROTATE(x, k) ((x) << (k) | (x) >> (64 - (k)))

PROGRAM
{
	u64 a = P1 + P2, b = P2, c = 0, d = -P1, hash;
	u64 at = 0;

	for (; at + 32 <= size; at += 32) {
		a = ROTATE(a + READ64(mem + at) * P2, 31) * P1;
		b = ROTATE(b + READ64(mem + at + 8) * P2, 31) * P1;
		c = ROTATE(c + READ64(mem + at + 16) * P2, 31) * P1;
		d = ROTATE(d + READ64(mem + at + 24) * P2, 31) * P1;
	}
	hash = ROTATE(a, 1) + ROTATE(b, 7) + ROTATE(c, 12) + ROTATE(d, 18);
	for (; at < size; at++)
		hash = ROTATE(hash ^ mem[at] * P1, 11) * P2;
	hash ^= hash >> 33;
	hash *= P2;
	hash ^= hash >> 29;
	return hash;
}
