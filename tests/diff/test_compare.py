"""Comparisons of one program: what counts as a difference, what does not, and how small it is shown."""

from __future__ import annotations

import json
from pathlib import Path
from types import MappingProxyType

import pytest

from skep import objects
from skep.diff import Options, compare
from skep.diff.observation import Ending, Observation, differences
from skep.diff.virtual import settle
from skep.isa import assemble
from skep.objects import MapSpec, MapType, ProgramSpec, ProgramType
from skep.objects.spec import MapReference, Reference
from skep.programs import KINDS
from tests.cli.command_line import Skep
from tests.fuzz.conftest import has_kernel, needs_kernel

ROOT = Path(__file__).parents[2]
OWN = ("interpreter", "jit")
ENGINES = ("kernel", *OWN) if has_kernel() else OWN
SHIFTS = """
    r0 = -8
    r0 s>>= 33
    r0 += 1
    r0 += 2
    exit
"""


def spec(text: str, type: ProgramType = ProgramType.XDP, **maps: MapSpec) -> ProgramSpec:
    assembly = assemble(text)
    references: dict[int, Reference] = {
        slot: MapReference(one.name, one.offset if one.kind == "map value" else None)
        for slot, one in assembly.symbols.items()
    }
    return ProgramSpec(
        "program",
        "",
        type,
        assembly.instructions,
        references=MappingProxyType(references),
        maps=MappingProxyType(dict(maps)),
        license="GPL",
    )


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.bpf.o")), ids=lambda path: path.name)
def test_the_examples_are_the_same_everywhere(path: Path) -> None:
    for one in objects.open(path).programs.values():
        outcome = compare(one, Options(engines=ENGINES, count=16))
        assert outcome.compared
        assert outcome.engines == ENGINES
        assert outcome.differences == ()


@pytest.mark.parametrize("type", sorted(KINDS.keys() - {ProgramType.LWT_SEG6LOCAL}), ids=lambda type: type.label)
def test_packets_and_contexts_of_all_types_come_back_the_same(type: ProgramType) -> None:
    outcome = compare(spec("r0 = 0\nexit", type), Options(engines=ENGINES, count=12))
    assert outcome.compared
    assert outcome.engines == ENGINES
    assert outcome.differences == ()


@needs_kernel
def test_a_type_without_test_run_is_compared_on_the_others() -> None:
    outcome = compare(spec("r0 = 0\nexit", ProgramType.LWT_SEG6LOCAL), Options(count=4))
    assert outcome.engines == OWN
    assert "no test run" in outcome.missing["kernel"]
    assert outcome.verdicts["kernel"].accepted


def test_a_wrong_engine_is_shown_with_the_least_that_tells_it(wrong_jit: None) -> None:
    outcome = compare(spec(SHIFTS), Options(engines=ENGINES, count=8))
    (one,) = outcome.differences
    assert (one.what, one.place) == ("return value", 0)
    assert one.seen["interpreter"] == 2
    assert len(set(one.seen.values())) == 2
    (packet,) = outcome.inputs
    assert packet == bytes(14)
    assert outcome.reduced is not None
    assert len(outcome.reduced.instructions) == 3


def test_the_packet_that_is_needed_stays(wrong_jit: None) -> None:
    text = """
        r2 = *(u32 *)(r1 + 0)
        r3 = *(u32 *)(r1 + 4)
        r4 = r2
        r4 += 24
        r0 = 0
        if r4 > r3 goto out
        r5 = *(u8 *)(r2 + 23)
        if r5 != 17 goto out
        r0 = -8
        r0 s>>= 33
    out:
        exit
    """
    packet = bytes(range(100, 123)) + b"\x11" + bytes(range(60))
    outcome = compare(spec(text), Options(engines=ENGINES, inputs=(bytes(60), packet)))
    assert outcome.differences
    assert outcome.inputs == (bytes(23) + b"\x11",)


def test_maps_are_compared_element_by_element(wrong_jit: None) -> None:
    text = """
        r1 = map[counts][0]+8 ll
        r2 = -8
        r2 s>>= 1
        *(u64 *)(r1 + 0) = r2
        r0 = 2
        exit
    """
    one = spec(text, counts=MapSpec("counts", MapType.ARRAY, 4, 16, 1))
    (found,) = compare(one, Options(engines=ENGINES, count=1, shrink=False)).differences
    assert (found.what, found.place, found.key) == ("map", "counts", bytes(4))


def test_time_and_chance_are_constants_on_every_engine() -> None:
    text = "call 5\nr6 = r0\ncall 7\nr0 ^= r6\nexit"
    outcome = compare(spec(text), Options(engines=ENGINES, count=4))
    assert outcome.replaced == ("bpf_get_prandom_u32", "bpf_ktime_get_ns")
    assert outcome.compared
    assert not outcome.differences


@needs_kernel
def test_what_asks_for_this_computer_is_not_run_in_the_kernel() -> None:
    fib_lookup = 69
    settled = settle(spec(f"call {fib_lookup}\nexit"))
    assert list(settled.own) == ["bpf_fib_lookup"]


@needs_kernel
def test_stack_that_was_never_written_is_left_out() -> None:
    text = """
        *(u32 *)(r10 - 8) = 0
        r1 = map[kept] ll
        r2 = r10
        r2 += -8
        r3 = r10
        r3 += -32
        r4 = 0
        call 2
        r0 = 2
        exit
    """
    one = spec(text, kept=MapSpec("kept", MapType.ARRAY, 4, 16, 1))
    outcome = compare(one, Options(count=4))
    assert outcome.engines == ("kernel", "interpreter", "jit")
    assert not outcome.differences


@needs_kernel
def test_what_the_kernel_refuses_is_said_and_the_others_compared() -> None:
    outcome = compare(spec("r0 = r3\nexit"), Options(count=2))
    assert "kernel" in outcome.missing
    assert not outcome.verdicts["kernel"].accepted
    assert "R3 !read_ok" in outcome.verdicts["kernel"].message
    outcome = compare(spec("r0 = 2\nexit"), Options(count=2))
    assert outcome.verdicts["kernel"].accepted


def test_what_the_interpreter_stops_the_jit_does_not_see() -> None:
    text = """
        r2 = *(u32 *)(r1 + 0)
        r3 = *(u32 *)(r1 + 4)
        r0 = 2
        r4 = r2
        r4 += 60
        if r4 <= r3 goto out
        r0 = *(u8 *)(r2 + 3000)
    out:
        exit
    """
    outcome = compare(spec(text), Options(engines=OWN, inputs=(bytes(60), bytes(80), bytes(20), bytes(60))))
    assert outcome.engines == OWN
    assert not outcome.differences
    assert (outcome.tried, outcome.compared) == (2, True)
    assert "3000" in outcome.fault or "beyond" in outcome.fault
    outcome = compare(spec(text), Options(engines=OWN, inputs=(bytes(20),)))
    assert outcome.fault
    assert not outcome.compared


@needs_kernel
def test_kernel_functions_keep_a_program_out_of_the_kernel() -> None:
    path = ROOT / "tests" / "engines" / "kernel" / "objects" / "kernel_functions.bpf.o"
    for one in objects.open(path).programs.values():
        outcome = compare(one, Options(count=2))
        assert "part of the kernel" in outcome.missing["kernel"]


def test_observations_differ_where_they_differ_first() -> None:
    a = Observation((Ending(1, b"x"), Ending(2, b"y")), {"m": {b"k": b"1"}})
    b = Observation((Ending(1, b"x"), Ending(3, b"y")), {"m": {}})
    (one,) = differences({"a": a, "b": b})
    assert (one.what, one.place, dict(one.seen)) == ("return value", 1, {"a": 2, "b": 3})
    c = Observation(a.endings, {"m": {}})
    (one,) = differences({"a": a, "c": c})
    assert (one.what, one.place, one.key, dict(one.seen)) == ("map", "m", b"k", {"a": b"1", "c": None})


def test_the_command_says_what_is_the_same_and_ends_with_1_if_something_is_not(
    skep: Skep, wrong_jit: None, tmp_path: Path
) -> None:
    counter = ROOT / "examples" / "xdp_counter.bpf.o"
    ended = skep("diff", counter, "--engines", ",".join(ENGINES), "--inputs", 4)
    assert ended.status == 0
    assert "the same on" in ended.output
    assert "1 program compared, no difference" in ended.output
    ended = skep("diff", counter, "--engines", ",".join(ENGINES), "--inputs", 4, "--json")
    assert json.loads(ended.output)["same"] is True


def test_bad_requests_are_one_line(skep: Skep) -> None:
    counter = ROOT / "examples" / "xdp_counter.bpf.o"
    assert "name two or three" in skep("diff", counter, "--engines", "jit").complaint
    assert "choose one" in skep("diff", counter, "--pcap", "x", "--data", "00").complaint
    assert "not hexadecimal" in skep("diff", counter, "--data", "0g").complaint
    assert "no program type" in skep("diff", counter, "--type", "nothing").complaint
    assert "there is no program" in skep("diff", f"{counter}:nothing").complaint
