"""Options of LLVM that have no place but the process: who compiles says what for, and gets those.

They stay set until other code is made, so that code never depends on what was compiled before it in the process; the
lock keeps threads apart that compile for different targets. docs/jit.md has the measurements behind the values.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from skep.lang.target import Target

#: For processors.
NATIVE: Mapping[str, str] = {
    # clang's BPF back end mixes independent chains of instructions. By default the order that is given is kept, which
    # cost a hashing loop a third of its speed. Other schedulers of LLVM end the process on other architectures.
    "pre-RA-sched": "list-burr",
    # What is jumped to starts a line of 64 bytes. Processors fetch and keep decoded instructions by such lines: the
    # time of a loop of a few blocks otherwise varies by a fifth with where they happen to lie. Only what nothing
    # falls into is moved, so that the filling is never run.
    "align-all-nofallthru-blocks": "6",
    # Straight-line code becomes vectors only where that saves much. The estimate counts instructions, not how long a
    # result is waited for: four lanes of a hash were to save 16, and ran slower, since each round waits for a
    # multiplication of 64-bit lanes (3 cycles on AMD's processors, 15 on Intel's). Sums that deserve it save 100.
    "slp-threshold": "24",
    # Unroll loops as far as that, whichever processor it is. LLVM goes by the size of a buffer in its description of
    # the processor, which is 0 (never unroll) for some, and thousands for others.
    "partial-unrolling-threshold": "128",
}

#: For BPF: what LLVM does by itself.
BPF: Mapping[str, str] = {
    "pre-RA-sched": "default",
    "align-all-nofallthru-blocks": "0",
    "slp-threshold": "0",
    "partial-unrolling-threshold": "0",
}

_lock = threading.RLock()
_set: Mapping[str, str] | None = None


@contextmanager
def options_for(target: Target) -> Iterator[None]:
    """Hold LLVM's options as code for ``target`` wants them; one thread at a time."""
    global _set
    from llvmlite import binding

    with _lock:
        wanted = BPF if target.is_bpf else NATIVE
        if _set is not wanted:
            for name, value in wanted.items():
                binding.set_option("", f"-{name}={value}")
            _set = wanted
        yield
