"""How the tests of the interpreter run things: a program from assembly or slots, over a bit of memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from skep.engines import Binding
from skep.engines.interpreter import Execution, Hook, InterpretedProgram, Interpreter
from skep.errors import Fault
from skep.isa import Instructions
from skep.isa.assembler import assemble
from skep.memory import AddressSpace, Region
from skep.objects.kinds import ProgramType
from skep.objects.spec import ProgramSpec


@dataclass(frozen=True, slots=True)
class Run:
    """A program ready to run over ``memory``."""

    program: InterpretedProgram
    memory: Region

    def run(self) -> int:
        return self.program.run(self.memory.address, self.memory.size, 0)

    def start(self, *hooks: Hook) -> Execution:
        return self.program.start(self.memory.address, self.memory.size, 0, hooks=hooks)


@contextmanager
def loaded(
    program: str | Instructions,
    memory: bytes = bytes(64),
    *,
    budget: int = 1_000_000,
    turns: int = 1000,
    hooks: Sequence[Hook] = (),
) -> Iterator[Run]:
    """A program of type ``raw``, from assembly text or slots."""
    instructions = assemble(program).instructions if isinstance(program, str) else program
    with AddressSpace() as space:
        region = space.allocate("memory", len(memory))
        region.write(0, memory)
        engine = Interpreter(budget=budget, turns=turns, hooks=hooks)
        spec = ProgramSpec("test", "", ProgramType.RAW, instructions)
        made = engine.load(spec, Binding(space))
        yield Run(made, region)
        made.close()


def step_to_the_end(execution: Execution) -> None:
    """Execute instruction after instruction."""
    while execution.pc is not None:
        execution.step()


def result(program: str | Instructions, memory: bytes = bytes(64), *, budget: int = 1_000_000) -> int:
    """r0 of one run."""
    with loaded(program, memory, budget=budget) as run:
        return run.run()


def fault(program: str | Instructions, memory: bytes = bytes(64), *, budget: int = 1_000_000) -> Fault:
    """The fault that a run ends with; the same one, and with the same registers, whichever way it is run."""
    with loaded(program, memory, budget=budget) as run:
        with pytest.raises(Fault) as whole:
            run.run()
        run.memory.write(0, memory)
        execution = run.start()
        with pytest.raises(Fault) as stepped:
            step_to_the_end(execution)
        execution.close()
    assert str(whole.value) == str(stepped.value)
    assert whole.value.registers == stepped.value.registers
    return whole.value
