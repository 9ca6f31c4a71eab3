"""What the verifier believes holds when the program runs: registers, stack lie in the abstract state; no fault."""

from __future__ import annotations

import ctypes
import random
import sys
from contextlib import suppress

import pytest

import skep
from skep.engines.interpreter import Hook, Interpreter
from skep.engines.interpreter.execution import Execution
from skep.errors import Fault, UnsupportedError
from skep.objects import ProgramSpec
from skep.verifier import verify
from skep.verifier.context import Context
from skep.verifier.numbers.arithmetic import zero_extended
from skep.verifier.paths.exploration import Explorer
from skep.verifier.paths.flow import Flow
from skep.verifier.paths.stack_liveness import StackLiveness
from skep.verifier.rejection import Rejection
from skep.verifier.states.register import Kind, Register
from skep.verifier.states.slots import SLOT_SIZE, ZERO, Slot
from skep.verifier.steps.instructions import prepare
from skep.verifier.steps.step import Calling, Step
from skep.verifier.structure import Structure
from skep.verifier.verification import first_state
from tests.verifier.random_programs import deep_program, random_program

#: Registers r0 to r9 and the stack of the running function, whose depth in calls comes last.
Known = tuple[tuple[Register, ...], tuple[Slot, ...], int]
#: By instruction, every state that a path came by with.
States = dict[int, set[Known]]

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

    def watched(slot: int, step: Step) -> Step:
        def watch(explorer: Explorer) -> int:
            if explorer.processed > LONGEST:
                raise Rejection("too many states")
            frame = explorer.frame
            seen.setdefault(slot, set()).add((tuple(frame.registers[:10]), tuple(frame.slots), frame.index))
            return step.follow(explorer)

        return Calling(watch)

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


def fits(state: Known, concrete: list[int | None]) -> bool:
    registers, slots, depth = state
    bottom = concrete[10]
    assert bottom is not None
    if not all(fits_register(one, value, bottom, depth) for one, value in zip(registers, concrete, strict=False)):
        return False
    content = ctypes.string_at(bottom - SLOT_SIZE * len(slots), SLOT_SIZE * len(slots))
    for index, slot in enumerate(slots):
        start = SLOT_SIZE * (len(slots) - 1 - index)
        if not fits_slot(slot, content[start : start + SLOT_SIZE], bottom, depth):
            return False
    return True


def fits_register(abstract: Register, concrete: int | None, bottom: int, depth: int) -> bool:
    if abstract.kind is Kind.NOT_INITIALISED:
        return True
    if concrete is None:
        return False
    if abstract.kind is Kind.SCALAR:
        return abstract.scalar.holds(concrete)
    if abstract.kind is Kind.STACK and abstract.frame == depth and not abstract.flags:
        return abstract.scalar.holds((concrete - bottom - abstract.offset) % (1 << 64))
    return bool(abstract.maybe_null or concrete)


def fits_slot(slot: Slot, content: bytes, bottom: int, depth: int) -> bool:
    if any(letter == ZERO and byte for letter, byte in zip(slot.bytes, content, strict=True)):
        return False
    if not slot.is_spill:
        return True
    size = slot.spilled_bytes
    value = int.from_bytes(content[:size], sys.byteorder)
    if slot.register.kind is Kind.SCALAR:
        return zero_extended(slot.register.scalar, size).holds(value)
    return fits_register(slot.register, value, bottom, depth)


def accepted(start: int, count: int = PROGRAMS) -> list[ProgramSpec]:
    """The first programs that are accepted of those from a seed on; the deeper ones from odd seeds."""
    found: list[ProgramSpec] = []
    seed = start
    while len(found) < count:
        spec = deep_program(seed) if seed % 2 else random_program(seed)
        seed += 1
        if verify(spec, limit=300).accepted:
            found.append(spec)
    return found


def followed(spec: ProgramSpec, chance: random.Random) -> int:
    """How many steps an accepted program took on random inputs, each inside what was proved of it.

    0 where its states are too many to keep or the interpreter cannot run it; one that calls a helper without an
    implementation ends there. Raises AssertionError or Fault.
    """
    states = all_states(spec)
    if states is None:
        return 0
    hook = Inside(states)
    with skep.Machine(engine="interpreter", engines={"interpreter": Interpreter(hooks=[hook])}) as machine:
        try:
            program = machine.load(spec, verify=False)
        except UnsupportedError:
            return 0
        for name in spec.maps:
            if name in ("array", "percpu", "ring"):
                continue
            for key in range(3):
                map = spec.maps[name]
                machine.maps[name].update(key.to_bytes(map.key_size, "little"), chance.randbytes(map.value_size))
        with suppress(UnsupportedError):
            for _ in range(RUNS):
                program.run(chance.randbytes(chance.choice((14, 20, 40, 64, 200))))
    return hook.steps


@pytest.mark.parametrize("start", [1_000_000, 2_000_000])
def test_accepted_programs_do_what_was_proved(start: int) -> None:
    chance = random.Random(start)
    steps = 0
    for spec in accepted(start):
        try:
            steps += followed(spec, chance)
        except Fault as fault:
            pytest.fail(f"{fault}\n{fault.dump()}\n{spec.instructions}")
    assert steps > 1_000
