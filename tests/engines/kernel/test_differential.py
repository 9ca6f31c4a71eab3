"""The same random programs in the kernel, on the interpreter and on the JIT: the same results and the same memory.

SKEP_DIFFERENTIAL is how many random instructions to compare (default 6000; a million takes some minutes).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from random import Random

import pytest

from skep.engines import Binding
from skep.engines.interpreter import Interpreter
from skep.engines.jit import Jit
from skep.engines.kernel import Kernel
from skep.isa import Instructions, disassemble, listing
from skep.memory import AddressSpace
from skep.objects import ProgramSpec, ProgramType
from tests.engines.kernel.generated import MEMORY_SIZE, memory, program

pytestmark = pytest.mark.usefixtures("nothing_left")

INSTRUCTIONS = int(os.environ.get("SKEP_DIFFERENTIAL", "6000"))
LENGTH = 60
BATCH = 25
INPUTS = 3


def specs(seed: int) -> Iterator[ProgramSpec]:
    random = Random(seed)
    while True:
        yield ProgramSpec("generated", "", ProgramType.RAW, program(random, LENGTH))


def explained(seed: int, code: Instructions, start: bytes, **ends: tuple[int, bytes]) -> str:
    """A difference, so that it can be repeated: seed, program, input and what each engine made of it."""
    results = "\n".join(f"{name}: r0 {value:#x}, memory {after.hex()}" for name, (value, after) in ends.items())
    return f"seed {seed}\n{listing(disassemble(code))}\ninput {start.hex()}\n{results}"


def compare(seed: int) -> int:
    """Compare a batch of programs; returns how many instructions they have. They are compiled in one module."""
    batch = list(islice(specs(seed), BATCH))
    random = Random(seed)
    with AddressSpace() as space:
        region = space.allocate("memory", MEMORY_SIZE)
        binding = Binding(space)
        compiled = Jit(cache=None, level=1).load_many(batch, [binding] * len(batch))
        for spec, on_jit in zip(batch, compiled, strict=True):
            on_interpreter = Interpreter().load(spec, binding)
            with Kernel().load(spec, binding) as in_kernel:
                for _ in range(INPUTS):
                    start = memory(random)
                    ends = {}
                    for name, loaded in (("kernel", in_kernel), ("jit", on_jit), ("interpreter", on_interpreter)):
                        region.write(0, start)
                        ends[name] = loaded.run(region.address, MEMORY_SIZE, 0), bytes(region.read())
                    if len(set(ends.values())) > 1:
                        pytest.fail(explained(seed, spec.instructions, start, **ends))
            on_interpreter.close()
            on_jit.close()
    return sum(len(spec.instructions) for spec in batch)


def test_kernel_interpreter_and_jit_agree() -> None:
    compared = seed = 0
    while compared < INSTRUCTIONS:
        compared += compare(seed)
        seed += 1
    print(f"{compared} instructions in {seed * BATCH} programs, {INPUTS} inputs each, without a difference")
