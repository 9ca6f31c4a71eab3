"""Clocks, CPU numbers, random numbers, tail calls, loops, strings and locks as programs see them."""

from __future__ import annotations

import ctypes
import errno
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skep.errors import UnsupportedError
from skep.lang import Ptr, function, u64
from skep.maps import create
from skep.memory import MAX_TAIL_CALLS, AddressSpace, Cpu, CpuBlock
from skep.objects.kinds import MapType
from skep.objects.spec import MapSpec
from skep.stdlib import CallSite, implementation
from skep.stdlib.loop import MAX_LOOPS

from .support import call, memory


@pytest.mark.parametrize(
    ("helper", "clock"),
    [
        ("ktime_get_ns", time.CLOCK_MONOTONIC),
        ("ktime_get_boot_ns", 7),
        ("ktime_get_tai_ns", 11),
        ("ktime_get_coarse_ns", 6),
    ],
)
def test_clocks_are_those_of_the_system(helper: str, clock: int) -> None:
    before = time.clock_gettime_ns(clock)
    now = call(helper)
    assert before <= now <= time.clock_gettime_ns(clock)


def test_virtual_time_stands_still_or_advances_by_its_step() -> None:
    cpus = CpuBlock(2)
    cpus.set_time(10_000_000_000, boot_offset=5)
    assert [call("ktime_get_ns", cpus=cpus) for _ in range(2)] == [10_000_000_000] * 2
    assert call("ktime_get_boot_ns", cpus=cpus) == 10_000_000_005
    assert call("jiffies64", cpus=cpus) == 2500 + (1 << 32) - 300 * 250
    cpus.set_time(100, step=7)
    assert [call("ktime_get_ns", cpus=cpus, cpu=1) for _ in range(3)] == [100, 107, 114]
    assert call("ktime_get_ns", cpus=cpus, cpu=0) == 100


def test_cpu_and_node() -> None:
    cpus = CpuBlock(3)
    cpus[2].numa_node = 1
    assert [call("get_smp_processor_id", cpus=cpus, cpu=n) for n in range(3)] == [0, 1, 2]
    assert call("get_numa_node_id", cpus=cpus, cpu=2) == 1


def test_random_numbers_are_those_of_xoshiro128plusplus() -> None:
    # The reference sequence from state 1, 2, 3, 4.
    cpus = CpuBlock(1)
    for index in range(4):
        cpus[0].random_state[index] = index + 1

    def reference(state: list[int]) -> int:
        def rotate(value: int, amount: int) -> int:
            return (value << amount | value >> (32 - amount)) & 0xFFFFFFFF

        result = (rotate((state[0] + state[3]) & 0xFFFFFFFF, 7) + state[0]) & 0xFFFFFFFF
        shifted = state[1] << 9 & 0xFFFFFFFF
        state[2] ^= state[0]
        state[3] ^= state[1]
        state[1] ^= state[2]
        state[0] ^= state[3]
        state[2] ^= shifted
        state[3] = rotate(state[3], 11)
        return result

    state = [1, 2, 3, 4]
    assert [call("get_prandom_u32", cpus=cpus) for _ in range(20)] == [reference(state) for _ in range(20)]


def test_seeded_cpus_draw_different_numbers_but_the_same_again() -> None:
    def draws(seed: int) -> list[int]:
        cpus = CpuBlock(2, seed=seed)
        return [call("get_prandom_u32", cpus=cpus, cpu=n % 2) for n in range(8)]

    assert draws(1) == draws(1) != draws(2)
    assert len(set(draws(1))) == 8


@pytest.mark.parametrize("known", [True, False], ids=["one map", "every map"])
def test_a_tail_call_finds_its_program_and_counts(known: bool) -> None:
    spec = MapSpec("programs", MapType.PROG_ARRAY, 4, 4, 4)
    with AddressSpace() as space, create(spec, 1, space) as map:
        cpus = CpuBlock(1)
        map.set_program(1, 0x1000)
        arguments: dict[str, Any] = {"cpus": cpus, "map": map if known else None}
        assert call("tail_call", 0, map.address, 0, **arguments) == 0
        assert call("tail_call", 0, map.address, 4, **arguments) == 0
        assert cpus[0].tail_calls == 0
        # The index is the lower half of its register.
        results = [call("tail_call", 0, map.address, 1 << 32 | 1, **arguments) for _ in range(40)]
        assert results == [0x1000] * MAX_TAIL_CALLS + [0] * 7
        assert cpus[0].tail_calls == MAX_TAIL_CALLS


def test_a_tail_call_needs_a_program_array() -> None:
    with pytest.raises(UnsupportedError, match="map m is of type array"):
        implementation(12, CallSite(map=MapSpec("m", MapType.ARRAY, 4, 4, 1)))


@function
def _until(index: u64, context: u64, c: u64, d: u64, e: u64, cpu: Ptr[Cpu]) -> u64:
    """Go on until the round that the context names."""
    return u64(1) if index == context else u64(0)


def test_a_loop_ends_after_its_rounds_or_when_the_callback_says_so() -> None:
    entry = _until.address
    assert call("loop", 10, entry, 100, 0) == 10
    assert call("loop", 10, entry, 3, 0) == 4
    assert call("loop", 0, entry, 3, 0) == 0
    assert call("loop", 10, entry, 3, 1) == -errno.EINVAL
    assert call("loop", MAX_LOOPS, entry, 1 << 40, 0) == MAX_LOOPS
    assert call("loop", MAX_LOOPS + 1, entry, 3, 0) == -errno.E2BIG


@given(st.binary(max_size=8), st.binary(max_size=8), st.integers(0, 10))
def test_strings_compare_as_in_c(first: bytes, second: bytes, size: int) -> None:
    first, second = first + b"\0", second + b"\0"
    a, b = first[: min(size, first.index(0))], second[: min(size, second.index(0))]
    place = memory(first.ljust(size, b"x"))
    assert call("strncmp", place, size, memory(second)) == (a > b) - (a < b)


def test_the_lock_of_a_value() -> None:
    word: Any = ctypes.c_uint32(0)
    lock: Callable[..., int] = call
    lock("spin_lock", word)
    assert word.value != 0
    lock("spin_unlock", word)
    assert word.value == 0
