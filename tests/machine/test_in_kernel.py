"""A machine's programs in the kernel: the same answers and the same view of maps as in this process."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

import pytest

from skep import objects
from skep.errors import LoadError, MapError, RequestError
from skep.isa import assemble
from skep.machine import Machine, read_capture
from skep.objects import MapSpec, MapType, ProgramSpec, ProgramType
from skep.objects.spec import MapReference
from tests.engines.kernel.conftest import bpf, nothing_left  # noqa: F401

EXAMPLES = Path(__file__).parents[2] / "examples"
pytestmark = pytest.mark.usefixtures("nothing_left")


def counter() -> ProgramSpec:
    return objects.open(EXAMPLES / "xdp_counter.bpf.o")["xdp_count"]


def test_a_capture_gives_the_same_verdicts_and_counters_in_the_kernel() -> None:
    capture = read_capture(EXAMPLES / "traffic.pcap")
    seen = {}
    for engine in ("interpreter", "kernel"):
        with Machine(engine=engine) as machine:
            runs = machine.run_capture(machine.load(counter()), capture)
            totals = {
                str(key): [sum(part[name] for part in value) for name in ("packets", "bytes")]
                for key, value in machine.maps["by_source"].decoded()
                if isinstance(value, list)
            }
            seen[engine] = dict(runs.counts), totals
    assert seen["kernel"] == seen["interpreter"]
    assert seen["kernel"][1]


def test_a_map_in_the_kernel_is_read_and_written_through_its_types() -> None:
    with Machine(engine="kernel") as machine:
        machine.load(counter())
        by_source = machine.maps["by_source"]
        key = b"\x07\0\0\0"
        by_source[key] = {"packets": 3, "bytes": 9}
        assert by_source[key] == [{"packets": 3, "bytes": 9}] * by_source.cpus
        del by_source[key]
        assert len(by_source) == 0
        with pytest.raises(MapError) as refusal:
            del by_source[key]
        assert refusal.value.errno == 2
        with pytest.raises(MapError):
            machine.maps[".rodata"][0] = b"\1\0\0\0"


def test_a_run_is_repeated_by_the_kernel() -> None:
    with Machine(engine="kernel") as machine:
        program = machine.load(counter())
        result = program.run(bytes(60), repeat=100)
        assert result.name == "XDP_PASS"
        (total,) = [
            sum(part["packets"] for part in value)
            for _, value in machine.maps["by_protocol"].decoded()
            if isinstance(value, list) and any(part["packets"] for part in value)
        ]
        assert total == 100
        assert result.packet == bytes(60)


def test_a_map_lies_in_the_kernel_or_here_and_not_in_both() -> None:
    with Machine(engine="interpreter") as machine:
        machine.load(counter())
        with pytest.raises(LoadError, match="lies in this process"):
            machine.load(counter(), engine="kernel")
    with Machine(engine="kernel") as machine:
        machine.load(counter())
        with pytest.raises(LoadError, match="lies in the kernel"):
            machine.load(counter(), engine="interpreter")


def test_the_kernel_chooses_its_cpu_and_calls_nothing_here() -> None:
    with Machine(cpus=2, engine="kernel") as machine:
        program = machine.load(counter())
        with pytest.raises(RequestError, match="cannot be told CPU 1"):
            program.run(bytes(60), cpu=1)
        with pytest.raises(RequestError, match="no address here"):
            _ = program.loaded


def test_raw_memory_goes_to_the_kernel_and_back() -> None:
    from skep.isa import assemble

    code = assemble("*(u8 *)(r1 + 0) = 9\nr0 = 0x100000002 ll\nexit").instructions
    with Machine(engine="kernel") as machine:
        result = machine.load(ProgramSpec("memory", "", ProgramType.RAW, code)).run(bytes(4))
        assert (result.retval, result.packet) == (0x100000002, b"\x09\0\0\0")


@pytest.mark.parametrize("engine", ["interpreter", "jit", "kernel"])
def test_programs_over_memory_use_maps_on_every_engine(engine: str) -> None:
    code = assemble("""
        r6 = r1
        *(u32 *)(r10 - 4) = 0
        r2 = r10
        r2 += -4
        r1 = map[counts] ll
        call 1
        if r0 == 0 goto out
        r1 = *(u8 *)(r6 + 0)
        r2 = *(u64 *)(r0 + 0)
        r2 += r1
        *(u64 *)(r0 + 0) = r2
        r0 = r2
    out:
        exit
    """)
    spec = ProgramSpec(
        "sum",
        "",
        ProgramType.RAW,
        code.instructions,
        references=MappingProxyType({slot: MapReference(one.name) for slot, one in code.symbols.items()}),
        maps=MappingProxyType({"counts": MapSpec("counts", MapType.ARRAY, 4, 8, 1)}),
        license="GPL",
    )
    with Machine(engine=engine) as machine:
        program = machine.load(spec, verify=False)
        # Memory of another length is another program to the kernel, with the same maps.
        assert [program.run(data).retval for data in (b"\x2a\0\0\0", b"\x07", b"\x01\0\0\0")] == [42, 49, 50]
        assert list(machine.maps["counts"].items()) == [(bytes(4), (50).to_bytes(8, "little"))]


def test_one_run_may_be_on_another_engine() -> None:
    packet = bytes(60)
    with Machine() as machine:
        program = machine.load(counter())
        here = program.run(packet)
        there = program.run(packet, engine="kernel")
        again = program.run(packet, engine="interpreter")
        assert (there.retval, there.packet) == (here.retval, here.packet) == (again.retval, again.packet)
        assert program.on("kernel") is program.on("kernel")
        assert program.on("jit") is program
        with pytest.raises(RequestError, match="there is no engine 'gcc'"):
            program.run(packet, engine="gcc")
    with Machine(engine="kernel") as machine:
        assert machine.load(counter()).run(packet, engine="jit").retval == here.retval
