"""The clocks: monotonic, boot, coarse and atomic time, and jiffies; from the system or from the CPU's virtual clock.

Virtual time makes a run repeatable and lets a capture set the time packet by packet; each reading advances it by the
CPU's step. Coarse time advances once a tick in Linux; virtual time has no ticks and shows the same in both. Jiffies
are counted at 250 a second, as most distributions configure it, from the start value that Linux uses (five minutes
before its 32-bit counter wraps).
"""

from __future__ import annotations

from skep.lang import Ptr, address_of, external, function, i32, i64, struct, u64, unlikely
from skep.memory.cpu import Cpu
from skep.stdlib.registry import implements

_MONOTONIC = 1
_MONOTONIC_COARSE = 6
_BOOTTIME = 7
_TAI = 11

_JIFFY_NS = 4_000_000
_FIRST_JIFFY = (1 << 32) - 300 * 250


@struct
class _Timespec:
    seconds: i64
    nanoseconds: i64


_clock_gettime = external("clock_gettime", [i32, Ptr[_Timespec]], i32)


@function(inline="never")
def _system(clock: i32) -> u64:
    now = _Timespec()
    _clock_gettime(clock, address_of(now))
    return u64(now.seconds) * 1_000_000_000 + u64(now.nanoseconds)


@function(inline="always")
def _monotonic(cpu: Ptr[Cpu], clock: i32) -> u64:
    if unlikely(cpu.clock_mode != 0):
        now = cpu.virtual_ns
        cpu.virtual_ns = now + cpu.virtual_step_ns
        return now
    return _system(clock)


@implements("bpf_ktime_get_ns")
@function(inline="always")
def ktime_get_ns(cpu: Ptr[Cpu]) -> u64:
    """Nanoseconds since boot, suspended time left out."""
    return _monotonic(cpu, i32(_MONOTONIC))


@implements("bpf_ktime_get_coarse_ns")
@function(inline="always")
def ktime_get_coarse_ns(cpu: Ptr[Cpu]) -> u64:
    """The same, as of the last tick."""
    return _monotonic(cpu, i32(_MONOTONIC_COARSE))


@implements("bpf_ktime_get_boot_ns")
@function(inline="always")
def ktime_get_boot_ns(cpu: Ptr[Cpu]) -> u64:
    """Nanoseconds since boot, suspended time included."""
    if unlikely(cpu.clock_mode != 0):
        return _monotonic(cpu, i32(_BOOTTIME)) + cpu.boot_offset_ns
    return _system(i32(_BOOTTIME))


@implements("bpf_ktime_get_tai_ns")
@function(inline="always")
def ktime_get_tai_ns(cpu: Ptr[Cpu]) -> u64:
    """Nanoseconds of international atomic time; on a virtual clock the same as monotonic time."""
    return _monotonic(cpu, i32(_TAI))


@implements("bpf_jiffies64")
@function(inline="always")
def jiffies64(cpu: Ptr[Cpu]) -> u64:
    """Ticks since boot, 250 a second."""
    return _monotonic(cpu, i32(_MONOTONIC_COARSE)) // _JIFFY_NS + _FIRST_JIFFY
