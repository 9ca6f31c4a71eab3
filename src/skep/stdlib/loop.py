"""``bpf_loop``: call a function with 0, 1, 2 … until it has had enough."""

from __future__ import annotations

import errno

from skep.lang import Fn, Ptr, function, i64, u32, u64
from skep.memory.cpu import Cpu
from skep.stdlib.registry import implements

#: What a callback is as native code: BPF's five arguments and the CPU, to r0.
Callback = Fn[[u64, u64, u64, u64, u64, Ptr[Cpu]], u64]

#: The most rounds that a loop may have (``BPF_MAX_LOOPS``).
MAX_LOOPS = 1 << 23

_EINVAL = -errno.EINVAL
_E2BIG = -errno.E2BIG


@implements("bpf_loop")
@function(inline="always")
def loop(cpu: Ptr[Cpu], rounds: u32, callback: Callback, context: u64, flags: u64) -> i64:
    """How many rounds were made; a round whose callback returns other than 0 is the last."""
    if flags != 0:
        return i64(_EINVAL)
    if rounds > MAX_LOOPS:
        return i64(_E2BIG)
    for index in range(rounds):
        if callback(u64(index), context, u64(0), u64(0), u64(0), cpu) != 0:
            return i64(index) + 1
    return i64(rounds)
