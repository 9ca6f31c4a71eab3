"""What the verifier believes holds when the program runs: registers lie in the abstract state, and nothing faults."""

from __future__ import annotations

import random

import pytest

import skep
from skep.engines.interpreter import Hook, Interpreter
from skep.engines.interpreter.execution import Execution
from skep.errors import Fault, UnsupportedError
from skep.objects import ProgramSpec
from skep.verifier import verify
from skep.verifier.context import Context
from skep.verifier.exploration import Explorer, Instruct
from skep.verifier.flow import Flow
from skep.verifier.instructions import prepare
from skep.verifier.register import Kind, Register
from skep.verifier.rejection import Rejection
from skep.verifier.stack_liveness import StackLiveness
from skep.verifier.structure import Structure
from skep.verifier.verification import first_state
from tests.verifier.random_programs import random_program

#: By slot, every state of r0 to r9 that a path came by with.
States = dict[int, set[tuple[Register, ...]]]

PROGRAMS = 40
RUNS = 6
#: Paths are not pruned here, so that every state is seen; programs with more of them are left out.
LONGEST = 3_000


def all_states(spec: ProgramSpec) -> States | None:
    """The abstract states at each instruction on all paths, none pruned; None if there are too many."""
    assert spec.type is not None
    structure, context = Structure(spec), Context(spec, spec.type)
    flow = Flow(structure)
    seen: States = {}

    def watched(slot: int, step: Instruct) -> Instruct:
        def watch(explorer: Explorer) -> None:
            if explorer.processed > LONGEST:
                raise Rejection("too many states")
            seen.setdefault(slot, set()).add(tuple(explorer.registers[:10]))
            step(explorer)

        return watch

    steps = [watched(slot, step) for slot, step in enumerate(prepare(structure, context))]
    flow.pauses = [False] * len(flow.pauses)
    try:
        Explorer(context, structure, flow, steps, StackLiveness(structure)).run(0, first_state())
    except Rejection:
        return None
    return seen


class Inside(Hook):
    """Checks before each step that the registers are as in one of the states known for it."""

    def __init__(self, states: States) -> None:
        self.states = states
        self.steps = 0

    def before(self, execution: Execution) -> None:
        slot = execution.pc
        assert slot is not None
        self.steps += 1
        registers = execution.registers
        known = self.states.get(slot, set())
        assert any(fits(state, registers) for state in known), (slot, registers, known)


def fits(state: tuple[Register, ...], registers: list[int | None]) -> bool:
    for abstract, concrete in zip(state, registers, strict=False):
        if abstract.kind is Kind.NOT_INITIALISED:
            continue
        if concrete is None:
            return False
        if abstract.kind is Kind.SCALAR and not abstract.scalar.holds(concrete):
            return False
        if abstract.is_pointer and not abstract.maybe_null and not concrete:
            return False
    return True


def accepted(start: int) -> list[ProgramSpec]:
    found: list[ProgramSpec] = []
    seed = start
    while len(found) < PROGRAMS:
        spec = random_program(seed)
        seed += 1
        if verify(spec, limit=300).accepted:
            found.append(spec)
    return found


@pytest.mark.parametrize("start", [1_000_000, 2_000_000])
def test_accepted_programs_do_what_was_proved(start: int) -> None:
    chance = random.Random(start)
    steps = 0
    for spec in accepted(start):
        states = all_states(spec)
        if states is None:
            continue
        hook = Inside(states)
        with skep.Machine(engine="interpreter", engines={"interpreter": Interpreter(hooks=[hook])}) as machine:
            try:
                program = machine.load(spec, verify=False)
            except UnsupportedError:
                continue
            for name in spec.maps:
                if name in ("array", "percpu"):
                    continue
                for key in range(3):
                    map = spec.maps[name]
                    machine.maps[name].update(key.to_bytes(map.key_size, "little"), chance.randbytes(map.value_size))
            for _ in range(RUNS):
                try:
                    program.run(chance.randbytes(chance.choice((14, 20, 40, 64, 200))))
                except Fault as fault:
                    pytest.fail(f"{fault}\n{fault.dump()}\n{spec.instructions}")
        steps += hook.steps
    assert steps > 1_000
