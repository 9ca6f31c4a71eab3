"""What watches a run sees every step, and may step in."""

from __future__ import annotations

import pytest

from skep.engines.interpreter import (
    Access,
    AccessKind,
    AccessTrace,
    Breakpoints,
    Coverage,
    Execution,
    Hook,
    Trace,
    next_access,
)
from skep.errors import RequestError
from tests.engines.interpreter.running import loaded

LOOP = "r0 = 0\nl:\nr0 += 1\nif r0 < 3 goto l\nexit"


class Order(Hook):
    """Notes what it is told."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int | None]] = []

    def before(self, execution: Execution) -> None:
        self.seen.append(("before", execution.pc))

    def after(self, execution: Execution, slot: int) -> None:
        self.seen.append(("after", slot))


def test_a_hook_is_called_around_every_instruction() -> None:
    order = Order()
    with loaded(LOOP, hooks=[order]) as run:
        assert run.run() == 3
    slots = [0, 1, 2, 1, 2, 1, 2, 3]
    assert order.seen == [(when, slot) for slot in slots for when in ("before", "after")]


def test_coverage_counts_slots() -> None:
    coverage = Coverage()
    with loaded(LOOP) as run, run.start(coverage) as execution:
        execution.run()
    assert coverage.counts == {"test": {0: 1, 1: 3, 2: 3, 3: 1}}


def test_a_breakpoint_may_change_registers_and_end_the_run() -> None:
    def jump_ahead(execution: Execution) -> None:
        execution.registers[0] = 9

    with loaded(LOOP) as run, run.start(Breakpoints([2], jump_ahead)) as execution:
        assert execution.run() == 9

    def stop(execution: Execution) -> None:
        raise RequestError("stop here")

    with loaded(LOOP) as run, run.start(Breakpoints([2], stop)) as execution:
        with pytest.raises(RequestError, match="stop here"):
            execution.run()
        assert (execution.pc, execution.registers[0]) == (2, 1)


def test_accesses_are_known_before_and_recorded_after() -> None:
    program = """
        r2 = 3
        *(u16 *)(r1 + 6) = r2
        r3 = *(u32 *)(r1 + 4)
        lock *(u64 *)(r1 + 8) += r2
        r2 = atomic_fetch_add((u64 *)(r1 + 8), r2)
        r4 = load_acquire((u8 *)(r1 + 3))
        store_release((u32 *)(r1 + 12), r2)
        *(u64 *)(r10 - 8) = 1
        r0 = 0
        exit
    """
    trace = AccessTrace()
    with loaded(program) as run, run.start(trace) as execution:
        assert next_access(execution) is None
        execution.step()
        base, frame = run.memory.address, execution.registers[10]
        assert frame is not None
        assert next_access(execution) == Access("test", 1, base + 6, 2, AccessKind.STORE)
        execution.run()
        assert next_access(execution) is None
    assert [(a.address - base, a.size, a.kind.value, a.ordered) for a in trace.accesses[:-1]] == [
        (6, 2, "store", False),
        (4, 4, "load", False),
        (8, 8, "atomic update", False),
        (8, 8, "atomic update", True),
        (3, 1, "load", True),
        (12, 4, "store", True),
    ]
    assert trace.accesses[-1] == Access("test", 7, frame - 8, 8, AccessKind.STORE)


def test_a_trace_is_one_line_an_instruction() -> None:
    lines: list[str] = []
    with (
        loaded("r0 = 5\nr0 *= 3\ncall f\nexit\nf:\nr0 = 255\nexit") as run,
        run.start(Trace(lines.append)) as execution,
    ):
        execution.run()
    assert lines[1].split() == ["1:", "r0", "*=", "3", "r0=0xf"]
    assert lines[2].split()[:3] == ["2:", "call", "+1"]
    assert [line.split(":")[0].strip() for line in lines] == ["0", "1", "2", "4", "5", "3"]


def test_two_executions_interleave() -> None:
    """The steps of two CPUs in turn: what a lost update looks like."""
    program = "r2 = *(u64 *)(r1 + 0)\nr2 += 1\n*(u64 *)(r1 + 0) = r2\nr0 = r2\nexit"
    with loaded(program) as run, run.start() as one, run.start() as two:
        while one.pc is not None:
            one.step()
            two.step()
        assert (one.result, two.result) == (1, 1)
        assert run.memory.read(0, 8)[0] == 1
        with pytest.raises(RequestError, match="has ended"):
            one.step()
