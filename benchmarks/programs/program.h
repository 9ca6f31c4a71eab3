/* What every benchmark program starts from: its types, and its entry in two forms.
 *
 * The same function is compiled for this machine, and for BPF. RUN is the program as skep runs it, over plain memory.
 * For the kernel, which wants to see bounds, the input is a global array whose size is checked first; that form is
 * there when KERNEL is defined.
 */
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef signed int s32;
typedef signed long long s64;

/* Every input has this many bytes: fewer for the kernel, whose verifier walks through every round of a loop. There the
 * runs take one input after the other, so that the branch predictor does not learn one by heart. */
#ifndef SIZE
#ifdef KERNEL
#define SIZE 1024
#else
#define SIZE 16384
#endif
#endif
#define INPUTS (65536 / SIZE)

#define READ16(p) (*(const u16 *)(p))
#define READ32(p) (*(const u32 *)(p))
#define READ64(p) (*(const u64 *)(p))

#ifdef KERNEL
u8 input[INPUTS][SIZE];
u64 input_size;
u64 turn;
u64 result;
#define PROGRAM                                                                                                      \
	static __attribute__((always_inline)) u64 run(u8 *mem, u64 size);                                            \
	__attribute__((section("xdp"), used)) int entry(void *context)                                           \
	{                                                                                                            \
		u64 size = input_size;                                                                               \
		if (size > SIZE)                                                                                     \
			return 0;                                                                                    \
		result = run(input[turn++ & (INPUTS - 1)], size);                                                    \
		return 0;                                                                                            \
	}                                                                                                            \
	char _license[] __attribute__((section("license"), used)) = "GPL";                                            \
	static __attribute__((always_inline)) u64 run(u8 *mem, u64 size)
#else
#define PROGRAM u64 run(u8 *mem, u64 size)
#endif
