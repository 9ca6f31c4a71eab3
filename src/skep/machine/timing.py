"""How long one run of a program takes on an engine, and how much of that an empty program takes too.

The JIT and the interpreter run packets in the machine's own loop, which lays each packet out anew; the kernel repeats
a test run on one packet and divides. Neither is free, so a program that only returns is timed the same way: that is
the engine's fixed cost for a run.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from skep.isa import BY_NAME, Instruction
from skep.machine.capture import Packet
from skep.machine.machine import KERNEL, Machine
from skep.machine.program import Program
from skep.machine.runs import run_packets
from skep.objects import ProgramSpec, ProgramType

#: The runs of one round on each engine: enough that looking at the clock does not count.
RUNS = {"jit": 100_000, "kernel": 100_000, "interpreter": 400}

_EMPTY = (Instruction(BY_NAME["mov64_imm"].opcode, 0, imm=1), Instruction(BY_NAME["exit"].opcode))


@dataclass(frozen=True, slots=True)
class Timing:
    """Nanoseconds of one run: the median over rounds, and that of a program that only returns."""

    engine: str
    ns: float
    fixed_ns: float
    runs: int


def measure(
    spec: ProgramSpec, engine: str, packets: Sequence[bytes], *, type: ProgramType | None = None, rounds: int = 5
) -> Timing:
    """Time ``spec`` on an engine, over all ``packets``. Raises what loading and running raise."""
    with Machine(engine=engine) as machine:
        program = machine.load(spec, type=type)
        kind = program.kind.type
        empty = machine.load(ProgramSpec("empty", "", kind, _EMPTY, license=spec.license), verify=False)
        times: list[float] = []
        fixed: list[float] = []
        for one, into in ((program, times), (empty, fixed)):
            _round(one, packets, len(packets))
            into += [_round(one, packets, RUNS[engine]) for _ in range(rounds)]
    return Timing(engine, statistics.median(times), statistics.median(fixed), RUNS[engine] * rounds)


def _round(program: Program, packets: Sequence[bytes], runs: int) -> float:
    """Nanoseconds of one of about ``runs`` runs."""
    repeat = max(runs // len(packets), 1)
    if program.engine != KERNEL:
        return run_packets(program, [Packet(data) for data in packets], repeat=repeat).ns_per_packet
    return statistics.fmean(program.run(data, repeat=repeat).duration_ns for data in packets)
