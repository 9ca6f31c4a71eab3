"""How the tests of the JIT run things: many programs compiled in one module, over one piece of memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from skep.engines import Binding
from skep.engines.jit import Jit, JitLoaded
from skep.isa import Instructions
from skep.isa.assembler import assemble
from skep.memory import AddressSpace, Region
from skep.objects import ProgramSpec, ProgramType


@dataclass(frozen=True, slots=True)
class Batch:
    """Programs ready to run over ``memory``."""

    programs: list[JitLoaded]
    memory: Region

    def run(self, index: int = 0) -> int:
        return self.programs[index].run(self.memory.address, self.memory.size, 0)


def raw(program: str | Instructions, name: str = "test") -> ProgramSpec:
    """A program of type ``raw`` from assembly text or slots."""
    instructions = assemble(program).instructions if isinstance(program, str) else program
    return ProgramSpec(name, "", ProgramType.RAW, instructions)


@contextmanager
def compiled(
    programs: Sequence[str | Instructions], memory: bytes = bytes(64), *, level: int | None = 1
) -> Iterator[Batch]:
    """``programs`` in one module, without a cache, optimised as ``level`` says."""
    with AddressSpace() as space:
        region = space.allocate("memory", len(memory))
        region.write(0, memory)
        specs = [raw(program, f"test{index}") for index, program in enumerate(programs)]
        loaded = Jit(cache=None, level=level).load_many(specs, [Binding(space)] * len(specs))
        yield Batch(loaded, region)
        for one in loaded:
            one.close()
