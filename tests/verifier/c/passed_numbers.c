/* A number that was passed to a global function and matters: then all numbers on the way there do. */
#include "expect.h"

char place[8];

__attribute__((noinline)) int decides(unsigned long n, unsigned long m)
{
	unsigned long kept = 1;

	asm volatile("if %[m] == 0 goto +0\n"
		     "if %[m] == 1 goto +1\n"
		     "%[kept] = 2\n"
		     "r0 = 0\n r0 = 0\n r0 = 0\n r0 = 0\n r0 = 0\n r0 = 0\n r0 = 0\n r0 = 0\n"
		     "if %[m] == 3 goto +1\n"
		     "r0 = 1\n"
		     "r0 = 2\n"
		     : [kept] "+r"(kept) : [m] "r"(m) : "r0");
	place[n & 7] = 1;
	asm volatile("" : "+r"(kept));
	return kept;
}

SEC("tc")
ACCEPT int passes(struct __sk_buff *skb)
{
	return decides(skb->len, skb->mark);
}
