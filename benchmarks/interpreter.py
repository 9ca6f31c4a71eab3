"""How fast the interpreter is, and how soon it starts: ``python benchmarks/interpreter.py``.

Million instructions a second, medians of several runs: loops of different kinds run as a whole, the mix of them
also instruction by instruction, as hooks and the race explorer run it. Then the time to make a program of 1,000
different instructions ready and to run it once. Times are of the processor, which other work on the machine
disturbs less. The target is 1.5 million instructions a second without hooks on the mix. ``--json`` prints one
object.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable

from skep.engines import Binding
from skep.engines.interpreter import InterpretedProgram, Interpreter
from skep.isa import assemble
from skep.memory import AddressSpace, Region
from skep.objects.kinds import ProgramType
from skep.objects.spec import ProgramSpec

TARGET = 1.5
ROUNDS = 7
TURNS = 20_000

#: What each loop does in a turn; r9 is memory of 4096 bytes, r8 counts, r0 is the result.
BODIES = {
    "arithmetic": "r0 += r8\nr0 *= 31\nw4 = w0\nw4 ^= 0x5bd1\nr4 >>= 7\nr0 ^= r4\nr0 -= 3",
    "memory": """
        r4 = r8
        r4 &= 0xff8
        r5 = r9
        r5 += r4
        r6 = *(u64 *)(r5 + 0)
        r0 += r6
        *(u32 *)(r5 + 4) = r0
        r6 = *(u8 *)(r9 + 17)
        *(u64 *)(r10 - 8) = r6
        r7 = *(u64 *)(r10 - 8)
        r0 ^= r7
    """,
    "branches": """
        r4 = r8
        r4 &= 7
        if r4 == 0 goto a{n}
        if r4 > 5 goto b{n}
        r0 += 1
        goto c{n}
        a{n}:
        r0 += 2
        goto c{n}
        b{n}:
        if w4 s< 7 goto c{n}
        r0 ^= r4
        c{n}:
    """,
    "calls": "r1 = r0\nr2 = r8\ncall f\nr0 += 1",
}
FUNCTION = "f:\nr0 = r1\nr0 += r2\nr0 &= 0xffff\nexit\n"


def loop(*names: str) -> str:
    """The program that runs these bodies one after the other in a loop."""
    body = "\n".join(BODIES[name].replace("{n}", str(number)) for number, name in enumerate(names))
    return f"r9 = r1\nr0 = 0\nr8 = 0\nl:\n{body}\nr8 += 1\nif r8 < {TURNS} goto l\nexit\n{FUNCTION}"


def rate(run: Callable[[], int]) -> float:
    """Million instructions a second: the median over rounds of what ``run`` says it executed."""
    rates = []
    for _ in range(ROUNDS):
        start = time.process_time()
        count = run()
        rates.append(count / (time.process_time() - start) / 1e6)
    return statistics.median(rates)


def whole(program: InterpretedProgram, memory: Region) -> int:
    """Run to the end and return the number of instructions."""
    with program.start(memory.address, memory.size, 0) as execution:
        execution.run()
        return execution.budget - execution.left


def stepped(program: InterpretedProgram, memory: Region) -> int:
    """The same for the first instructions, one by one."""
    with program.start(memory.address, memory.size, 0) as execution:
        for _ in range(50_000):
            execution.step()
        return 50_000


def straight() -> str:
    """1,000 instructions without a loop, of many kinds."""
    lines = ["r9 = r1", *(f"r{register} = {register}" for register in (0, 2, 3, 4, 5, 6, 7, 8))]
    operations = ("+=", "-=", "*=", "|=", "&=", "^=", "<<=", ">>=", "s>>=", "/=")
    while len(lines) < 999:
        number = len(lines)
        match number % 4:
            case 0:
                lines.append(f"*(u{8 << number % 3} *)(r9 + {number % 1000}) = r{number % 9}")
            case 1:
                lines.append(f"r{number % 9} = *(u{8 << number % 3} *)(r9 + {number % 1000})")
            case _:
                letter = "rw"[number % 2]
                lines.append(f"{letter}{number % 9} {operations[number % 10]} {letter}{number * 7 % 9}")
    return "\n".join([*lines, "exit"])


def main() -> None:
    """Print the table, or with ``--json`` one object."""
    with AddressSpace() as space:
        memory = space.allocate("memory", 4096)

        def load(text: str) -> InterpretedProgram:
            spec = ProgramSpec("benchmark", "", ProgramType.RAW, assemble(text).instructions)
            return Interpreter().load(spec, Binding(space))

        rates = {}
        for name in BODIES:
            program = load(loop(name))
            rates[name] = rate(lambda program=program: whole(program, memory))  # type: ignore[misc]
        mix = load(loop(*BODIES))
        rates["mix"] = rate(lambda: whole(mix, memory))
        rates["mix, step by step"] = rate(lambda: stepped(mix, memory))

        instructions = ProgramSpec("straight", "", ProgramType.RAW, assemble(straight()).instructions)
        loading, first = [], []
        for _ in range(ROUNDS):
            start = time.process_time()
            program = Interpreter().load(instructions, Binding(space))
            loading.append((time.process_time() - start) * 1e3)
            start = time.process_time()
            program.run(memory.address, memory.size, 0)
            first.append((time.process_time() - start) * 1e3)
            program.close()
        times = {
            "load 1,000 instructions, first": loading[0],
            "load 1,000 instructions": statistics.median(loading),
            "run them once, first": first[0],
            "run them once": statistics.median(first),
        }

    if "--json" in sys.argv[1:]:
        print(json.dumps({"million_instructions_a_second": rates, "milliseconds": times}))
        return
    for name, value in rates.items():
        print(f"{name:32} {value:8.2f} million instructions a second")
    for name, value in times.items():
        print(f"{name:32} {value:8.2f} ms")
    verdict = "reached" if rates["mix"] >= TARGET else "MISSED"
    print(f"target of {TARGET} million instructions a second on the mix: {verdict}")


if __name__ == "__main__":
    main()
