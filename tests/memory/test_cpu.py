"""The CPUs of a machine lie in one array, each on cache lines of its own, with random states of their own."""

from __future__ import annotations

import pytest

from skep.errors import RequestError
from skep.lang import offset_of
from skep.memory import AddressSpace, ClockMode, Cpu, CpuBlock, RegionKind


def test_cpus_lie_in_one_array_on_lines_of_their_own() -> None:
    block = CpuBlock(4)
    strides = {block.address(n + 1) - block.address(n) for n in range(3)}
    assert len(strides) == 1
    assert strides.pop() % 128 == 0
    assert all(block.address(n) % 128 == 0 for n in range(4))
    assert [(cpu.id, cpu.cpus) for cpu in block] == [(n, 4) for n in range(4)]


def test_the_hot_fields_share_the_first_two_lines() -> None:
    assert offset_of(Cpu, "scratch") <= 128


def test_cpus_are_a_region_of_an_address_space() -> None:
    with AddressSpace() as space:
        block = CpuBlock(2, space)
        region = space.find(block.address(1))
        assert region is not None
        assert region.kind is RegionKind.CPU


def test_a_seed_makes_random_states_repeatable_and_different() -> None:
    one, two, other = CpuBlock(2, seed=7), CpuBlock(2, seed=7), CpuBlock(2, seed=8)
    states = [[bytes(cpu.random_state) for cpu in block] for block in (one, two, other)]
    assert states[0] == states[1] != states[2]
    assert states[0][0] != states[0][1]


def test_time_is_set_for_all() -> None:
    block = CpuBlock(2)
    block.set_time(123, step=5, boot_offset=7)
    assert [(c.clock_mode, c.virtual_ns, c.virtual_step_ns, c.boot_offset_ns) for c in block] == [(1, 123, 5, 7)] * 2
    block.use_real_time()
    assert block[1].clock_mode == ClockMode.REAL


def test_cpus_that_do_not_exist() -> None:
    with pytest.raises(RequestError, match="1 to 32767 CPUs, not 0"):
        CpuBlock(0)
    with pytest.raises(RequestError, match="there is no CPU 2"):
        CpuBlock(2).address(2)
