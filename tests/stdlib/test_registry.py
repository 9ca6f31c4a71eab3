"""Helpers are found by number; an architecture may have its own; what is missing is named."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from skep.errors import RequestError, UnsupportedError
from skep.lang import Ptr, function, u32
from skep.memory import Cpu
from skep.stdlib import CallSite, implementation, implemented, implements, registry
from skep.stdlib.prototypes import NAMES, number


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    implemented()
    before = dict(registry._implementations)
    yield
    registry._implementations.clear()
    registry._implementations.update(before)


def test_the_helpers_that_programs_need_first_are_there() -> None:
    wanted = """map_lookup_elem map_update_elem map_delete_elem tail_call ktime_get_ns ktime_get_boot_ns
        ktime_get_coarse_ns get_smp_processor_id get_prandom_u32 trace_printk trace_vprintk spin_lock spin_unlock loop
        strncmp"""
    assert {number(name) for name in wanted.split()} <= implemented()


def test_every_implementation_takes_what_engines_can_pass() -> None:
    for helper in implemented():
        names = [name for name, _ in implementation(helper, CallSite()).parameters]
        assert "cpu" not in names[1:], NAMES[helper]
        assert "values" not in names, NAMES[helper]
        assert len(names) - (names[:1] == ["cpu"]) <= 5, NAMES[helper]


def test_an_architecture_can_have_its_own() -> None:
    @implements("bpf_get_smp_processor_id", arch="s390x")
    @function
    def other(cpu: Ptr[Cpu]) -> u32:
        return cpu.id + 1000

    helper = number("get_smp_processor_id")
    assert implementation(helper, CallSite(arch="s390x")) is other
    assert implementation(helper, CallSite(arch="aarch64")) is not other


def test_spin_locks_follow_the_architecture() -> None:
    helper = number("spin_lock")
    symbols = {arch: implementation(helper, CallSite(arch=arch)).symbol for arch in ("x86_64", "arm", "riscv64")}
    assert [name.split(".")[-2] for name in symbols.values()] == ["queued", "ticket", "test_and_set"]


def test_what_is_missing_is_named() -> None:
    with pytest.raises(UnsupportedError, match=r"the helper bpf_override_return \(58\) has no implementation"):
        implementation(58, CallSite())
    with pytest.raises(UnsupportedError, match="helper number 9999 has no implementation"):
        implementation(9999, CallSite())
    with pytest.raises(RequestError, match="no helper named bpf_nonsense"):
        implements("bpf_nonsense")
