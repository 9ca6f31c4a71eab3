"""What a waiter does between two looks at a lock: rest a moment, and now and then let the system run somebody else.

The holder may be a thread that is not running at all (more CPUs than cores, or a core taken away). Spinning then
only keeps it from running, so every :data:`SPINS`-th look gives the core back. 64 was the best of the bounds
measured for a test-and-set lock with 2 to 64 threads on two cores.
"""

from __future__ import annotations

from skep.lang import external, function, i32, relax, u32

#: How many looks a waiter takes before it gives its core back; a power of two.
SPINS = 64

_sched_yield = external("sched_yield", [], i32)


@function(inline="never", cold=True)
def yield_core() -> None:
    """Let the system run another thread on this core."""
    _sched_yield()


@function(inline="always")
def wait(looks: u32) -> u32:
    """Wait a moment after the ``looks``-th look, and count it: pass the result to the next call."""
    if looks % SPINS == SPINS - 1:
        yield_core()
    else:
        relax()
    return looks + 1
