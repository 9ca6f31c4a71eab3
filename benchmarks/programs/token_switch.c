/* A sparse switch: characters of a protocol into classes, with the classes counted in packed fields. */
#include "program.h"

PROGRAM
{
	u64 counts = 0, last = 0, changes = 0;

	for (u64 at = 0; at < size; at++) {
		u64 class;

		switch (mem[at]) {
		case ' ': case '\t': class = 1; break;
		case '\r': case '\n': class = 2; break;
		case '0': case '1': case '2': case '3': case '4':
		case '5': case '6': case '7': case '8': case '9': class = 3; break;
		case '"': class = 4; break;
		case '{': class = 5; break;
		case '}': class = 6; break;
		case ':': case ',': class = 7; break;
		default: class = 0; break;
		}
		counts += 1ull << (class * 8);
		changes += class != last;
		last = class;
	}
	return counts ^ changes << 40;
}
