/* The Internet checksum (RFC 1071) of every 128-byte piece, chained so that none can be left out. */
#include "program.h"

PROGRAM
{
	u32 chained = 0;

	for (u64 at = 0; at + 128 <= size; at += 128) {
		u32 sum = chained;

		for (u32 i = 0; i < 128; i += 2)
			sum += READ16(mem + at + i);
		while (sum >> 16)
			sum = (sum & 0xffff) + (sum >> 16);
		chained = (u16)~sum;
	}
	return chained;
}
