/* FNV-1a, a byte at a time. */
#include "program.h"

PROGRAM
{
	u64 hash = 0xcbf29ce484222325ull;

	for (u64 at = 0; at < size; at++) {
		hash ^= mem[at];
		hash *= 0x100000001b3ull;
	}
	return hash;
}
