/* Bob Jenkins' mixing of three 32-bit words, as hash tables of flows use it. */
#include "program.h"

static inline u32 rotate(u32 x, u32 k)
{
	return x << k | x >> (32 - k);
}

PROGRAM
{
	u32 a = 0xdeadbeef + (u32)size, b = a, c = a;

	for (u64 at = 0; at + 12 <= size; at += 12) {
		a += READ32(mem + at);
		b += READ32(mem + at + 4);
		c += READ32(mem + at + 8);
		a -= c; a ^= rotate(c, 4); c += b;
		b -= a; b ^= rotate(a, 6); a += c;
		c -= b; c ^= rotate(b, 8); b += a;
		a -= c; a ^= rotate(c, 16); c += b;
		b -= a; b ^= rotate(a, 19); a += c;
		c -= b; c ^= rotate(b, 4); b += a;
	}
	c ^= b; c -= rotate(b, 14);
	a ^= c; a -= rotate(c, 11);
	b ^= a; b -= rotate(a, 25);
	return (u64)c << 32 | b;
}
