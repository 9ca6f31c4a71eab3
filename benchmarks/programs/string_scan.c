/* Split text into lines and words, and look for a header name without regard to case. */
#include "program.h"

static inline u32 lower(u32 c)
{
	return c - 'A' < 26 ? c | 0x20 : c;
}

PROGRAM
{
	const char name[8] = "content";
	u64 lines = 0, words = 0, hits = 0;
	u32 matched = 0, inside = 0;

	for (u64 at = 0; at < size; at++) {
		u32 c = mem[at];
		u32 letter = lower(c) - 'a' < 26;

		lines += c == '\n';
		words += letter && !inside;
		inside = letter;
		if (lower(c) == (u32)name[matched & 7])
			matched++;
		else
			matched = lower(c) == 'c';
		if (matched == 7) {
			hits++;
			matched = 0;
		}
	}
	return lines << 40 | words << 16 | hits;
}
