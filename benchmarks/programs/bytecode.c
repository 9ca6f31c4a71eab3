/* An interpreter of a small machine: a dense switch in a loop, over the input as its program. */
#include "program.h"

PROGRAM
{
	u32 a = 1, b = 2, c = 3;
	u64 out = 0;

	for (u64 at = 0; at < size; at++) {
		switch (mem[at] & 15) {
		case 0: a += b; break;
		case 1: b ^= c; break;
		case 2: c -= a; break;
		case 3: a = a << 3 | a >> 29; break;
		case 4: b *= 5; break;
		case 5: c = ~c; break;
		case 6: a ^= 0x5bd1e995; break;
		case 7: b += a & c; break;
		case 8: c |= 1; break;
		case 9: out += a; break;
		case 10: out ^= b; break;
		case 11: out = out * 3 + c; break;
		case 12: a = b; break;
		case 13: b = c; break;
		case 14: c = a >> 1; break;
		case 15: out += at; break;
		}
	}
	return out + a + b + c;
}
