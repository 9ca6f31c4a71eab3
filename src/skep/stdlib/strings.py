"""Text in memory: ``bpf_strncmp``."""

from __future__ import annotations

from skep.lang import Ptr, function, i64, u8, u32
from skep.stdlib.registry import implements


@implements("bpf_strncmp")
@function
def strncmp(first: Ptr[u8], size: u32, second: Ptr[u8]) -> i64:
    """-1, 0 or 1 as the text in ``first`` (at most ``size`` bytes) sorts before, with or after ``second``."""
    for index in range(size):
        a = first[index]
        b = second[index]
        if a != b:
            return i64(-1) if a < b else i64(1)
        if a == 0:
            break
    return i64(0)
