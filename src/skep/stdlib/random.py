"""``bpf_get_prandom_u32``: xoshiro128++ with a state for each CPU, so that seeded runs are repeatable.

Source: Blackman and Vigna, "Scrambled linear pseudorandom number generators" (2021).
"""

from __future__ import annotations

from skep.lang import Ptr, function, rotate_left, u32
from skep.memory.cpu import Cpu
from skep.stdlib.registry import implements


@implements("bpf_get_prandom_u32")
@function
def get_prandom_u32(cpu: Ptr[Cpu]) -> u32:
    """The next 32 random bits of this CPU."""
    a = cpu.random_state[0]
    b = cpu.random_state[1]
    c = cpu.random_state[2]
    d = cpu.random_state[3]
    c ^= a
    d ^= b
    cpu.random_state[0] = a ^ d
    cpu.random_state[1] = b ^ c
    cpu.random_state[2] = c ^ (b << 9)
    cpu.random_state[3] = rotate_left(d, u32(11))
    return rotate_left(a + (d ^ b), u32(7)) + a
