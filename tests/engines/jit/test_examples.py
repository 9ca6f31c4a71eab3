"""The example programs do the same on the JIT as on the interpreter, packet by packet."""

from __future__ import annotations

from pathlib import Path

import pytest

import skep
from skep.machine import Machine, read_capture
from skep.objects import MapType, ProgramSpec

EXAMPLES = Path(__file__).parents[3] / "examples"
PROGRAMS = [
    pytest.param(program, id=f"{path.name.split('.')[0]}-{name}")
    for path in sorted(EXAMPLES.glob("*.bpf.o"))
    for name, program in skep.open(path).programs.items()
]


def run(engine: str, spec: ProgramSpec) -> list[object]:
    with Machine(cpus=1, engine=engine, seed=3) as machine:
        machine.cpus.set_time(1_000_000, step=1000)
        program = machine.load(spec)
        seen: list[object] = []
        for packet in read_capture(EXAMPLES / "traffic.pcap").packets[:60]:
            result = program.run(packet.data)
            seen.append((result.retval, result.packet, result.context))
        for name, one in sorted(machine.maps.items()):
            if one.spec.type is not MapType.PROG_ARRAY:
                seen.append((name, sorted(one.items())))
        return seen


@pytest.mark.parametrize("spec", PROGRAMS)
def test_example(spec: ProgramSpec) -> None:
    assert run("jit", spec) == run("interpreter", spec)
