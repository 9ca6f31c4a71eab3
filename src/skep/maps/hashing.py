"""The hash of a key: seeded multiply-and-fold, a few instructions for a key of eight bytes.

Each eight bytes are mixed in by a 64 by 64 to 128-bit multiplication whose halves are folded together; crc32c was no
faster when measured, and being linear it lets anybody build colliding keys. Where a processor has no such product two
multiplications with a fold between them stand in. The seed differs from map to map (0 with BPF_F_ZERO_SEED).
"""

from __future__ import annotations

from skep.lang import Ptr, cast, function, load_unaligned, multiply_high, offset, target_is, u8, u32, u64

#: Odd numbers without structure: the fractions of the golden ratio and of the square root of 3.
_FIRST = 0x9E3779B97F4A7C15
_SECOND = 0xBB67AE8584CAA73B


@function(inline="always")
def _mix(state: u64) -> u64:
    if target_is("bpf", "arm"):
        product = state * u64(_FIRST)
        return (product ^ (product >> 32)) * u64(_SECOND)
    return multiply_high(state, u64(_FIRST)) ^ (state * u64(_FIRST))


@function(inline="always")
def hash_key(key: Ptr[u8], size: u32, seed: u64) -> u64:
    """The hash of ``size`` bytes; its highest bits are the best."""
    if size == 8:
        # The two commonest sizes, as the general case has them: for a known size nothing else is compiled.
        return _mix(seed ^ load_unaligned(cast(Ptr[u64], key)))
    if size == 4:
        word = u64(load_unaligned(cast(Ptr[u32], key)))
        return _mix(seed ^ (word | word << 32))
    state = seed
    position = u32(0)
    while position + 8 <= size:
        state = _mix(state ^ load_unaligned(cast(Ptr[u64], offset(key, position))))
        position += 8
    rest = size - position
    if rest >= 4:
        low = load_unaligned(cast(Ptr[u32], offset(key, position)))
        high = load_unaligned(cast(Ptr[u32], offset(key, size - 4)))
        state = _mix(state ^ (u64(low) | u64(high) << 32))
    elif rest != 0:
        middle = u64(key[position + (rest >> 1)]) << 8
        state = _mix(state ^ (u64(key[position]) | middle | u64(key[size - 1]) << 16))
    if size > 8:
        state = _mix(state + u64(_SECOND))
    return state
