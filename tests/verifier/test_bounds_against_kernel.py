"""What is known of every number behind every instruction is what the kernel prints of it, no more and no less."""

from __future__ import annotations

import contextlib
import random

import pytest

from skep.engines.kernel import Kernel
from skep.errors import KernelError
from skep.objects import ProgramSpec
from skep.verifier.context import Context
from skep.verifier.paths.exploration import Explorer
from skep.verifier.paths.flow import Flow
from skep.verifier.paths.stack_liveness import StackLiveness
from skep.verifier.rejection import Rejection
from skep.verifier.states.register import Register
from skep.verifier.steps.instructions import prepare
from skep.verifier.steps.step import Calling, Step
from skep.verifier.structure import Structure
from skep.verifier.verification import first_state
from tests.verifier import kernel_log, programs
from tests.verifier.programs import program

pytestmark = pytest.mark.skipif(programs.kernel_is_there() is not None, reason=str(programs.kernel_is_there()))

_EDGES = (0, 1, 2, 3, 7, 8, 16, 31, 32, 63, 64, 127, 128, 255, 256, 32767, 65535, 0x7FFFFFFE, 0x7FFFFFFF)
_CONDITIONS = ("==", "!=", "<", "<=", ">", ">=", "s<", "s<=", "s>", "s>=", "&")
_OPERATORS = ("+=", "-=", "&=", "|=", "^=", "*=", "+=", "-=", "&=", "|=", "/=", "%=")
_REGISTERS = (0, 2, 3, 4, 5, 7, 8, 9)


class Numbers:
    """A program of arithmetic and jumps on numbers of which something is known, or nothing."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.lines = ["r6 = r1"]

    def build(self) -> str:
        choose = self.random
        for register in (9, 8, 7):
            self.lines += ["call bpf_ktime_get_ns", f"r{register} = r0"]
        self.lines += ["*(u64 *)(r10 - 8) = r0", "r2 = *(u32 *)(r6 + 12)", "r3 = r7", "r4 = 5", "r5 = (s8)r8"]
        for number in range(choose.randrange(3, 22)):
            self.step(number)
        self.lines += ["goto out", "out: r0 = 0", "exit"]
        return "\n".join(self.lines)

    def number(self) -> int:
        choose = self.random
        number = choose.choice(_EDGES)
        if choose.random() < 0.3:
            number = choose.randrange(1 << choose.randrange(1, 31))
        return number if choose.random() < 0.6 else -number - choose.randrange(2)

    def step(self, number: int) -> None:
        choose = self.random
        letter = choose.choice("rrw")
        to, other = choose.choice(_REGISTERS), choose.choice(_REGISTERS)
        emit = self.lines.append
        roll = choose.random()
        if roll < 0.35:
            right = f"{letter}{other}" if choose.random() < 0.35 else str(self.number())
            where = "out" if choose.random() < 0.8 else f"l{number}"
            emit(f"if {letter}{to} {choose.choice(_CONDITIONS)} {right} goto {where}")
            if where != "out":
                self.step(1000 + number)
                emit(f"l{number}: r{other} = r{other}")
        elif roll < 0.6:
            operator = choose.choice(_OPERATORS)
            right = f"{letter}{other}" if choose.random() < 0.4 else str(self.number() or 1)
            emit(f"{letter}{to} {operator} {right}")
        elif roll < 0.7:
            width = 64 if letter == "r" else 32
            operator = choose.choice(("<<=", ">>=", "s>>="))
            amount = choose.choice((0, 1, 3, 8, 16, 31, 32, 33, 56, 63)) % width
            emit(f"{letter}{to} {operator} {f'{letter}{other}' if choose.random() < 0.2 else amount}")
        elif roll < 0.8:
            emit(f"{letter}{to} = {letter}{other}")
        elif roll < 0.88:
            bits = choose.choice((8, 16, 32) if letter == "r" else (8, 16))
            emit(f"{letter}{to} = (s{bits}){letter}{other}")
        elif roll < 0.91:
            emit(f"{letter}{to} = -{letter}{to}")
        elif roll < 0.93:
            emit(f"r{to} = {choose.choice(('le', 'be', 'bswap'))}{choose.choice((16, 32, 64))} r{to}")
        elif roll < 0.96:
            emit(f"*(u{choose.choice((8, 16, 32, 64))} *)(r10 - 8) = r{other}")
        else:
            kind = choose.choice(("u8", "u16", "u32", "u64", "s8", "s16", "s32"))
            emit(f"r{to} = *({kind} *)(r10 - 8)")


def followed(spec: ProgramSpec) -> list[tuple[int, list[Register]]]:
    """Each instruction that was followed with the registers behind it, in order."""
    assert spec.type is not None
    structure, context = Structure(spec), Context(spec, spec.type)
    seen: list[tuple[int, list[Register]]] = []

    def watched(slot: int, step: Step) -> Step:
        def watch(explorer: Explorer) -> int:
            following = step.follow(explorer)
            seen.append((slot, list(explorer.registers)))
            return following

        return Calling(watch)

    steps = [watched(slot, step) for slot, step in enumerate(prepare(structure, context))]
    with contextlib.suppress(Rejection):
        Explorer(context, structure, Flow(structure), steps, StackLiveness(structure)).run(0, first_state())
    return seen


def difference(spec: ProgramSpec) -> str | None:
    """The first number that the kernel knows otherwise."""
    try:
        with Kernel().load(spec, log_level=2) as loaded:
            log = loaded.log
    except KernelError as error:
        log = error.log
    for (index, registers), printed in zip(followed(spec), kernel_log.steps(log), strict=False):
        if index != printed.index:
            return f"the kernel went to {printed.index}, not to {index}"
        for number, facts in printed.numbers.items():
            if kernel_log.facts_of(registers[number]) != facts:
                return f"{index}: R{number} is {registers[number].scalar!r}, in the kernel {facts}"
    return None


@pytest.mark.parametrize("start", [0, 1000])
def test_numbers_are_known_as_the_kernel_knows_them(start: int) -> None:
    for seed in range(start, start + 100):
        text = Numbers(seed).build()
        assert difference(program(text)) is None, (seed, text)
