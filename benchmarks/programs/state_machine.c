/* Check UTF-8 and count its code points, with a hand-written state machine. */
#include "program.h"

PROGRAM
{
	u32 need = 0, low = 0x80, high = 0xbf, point = 0;
	u64 points = 0, errors = 0, mix = 0;

	for (u64 at = 0; at < size; at++) {
		u32 c = mem[at];

		if (!need) {
			low = 0x80;
			high = 0xbf;
			if (c < 0x80) {
				points++;
				mix += c;
			} else if (c >= 0xc2 && c <= 0xdf) {
				need = 1;
				point = c & 31;
			} else if (c >= 0xe0 && c <= 0xef) {
				if (c == 0xe0)
					low = 0xa0;
				else if (c == 0xed)
					high = 0x9f;
				need = 2;
				point = c & 15;
			} else if (c >= 0xf0 && c <= 0xf4) {
				if (c == 0xf0)
					low = 0x90;
				else if (c == 0xf4)
					high = 0x8f;
				need = 3;
				point = c & 7;
			} else {
				errors++;
			}
			continue;
		}
		if (c < low || c > high) {
			need = 0;
			errors++;
			continue;
		}
		low = 0x80;
		high = 0xbf;
		point = point << 6 | (c & 63);
		if (!--need) {
			points++;
			mix += point;
		}
	}
	return points << 32 ^ errors << 16 ^ mix;
}
