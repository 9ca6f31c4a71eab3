"""Runs of one input, once and many times."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import skep
from skep import codecache
from skep.errors import EncodingError, LoadError, RequestError, VerdictError
from skep.objects import ProgramSpec
from skep.verifier import Report, verify

EXAMPLES = Path(__file__).parents[2] / "examples"
RUNS = Path(__file__).parents[1] / "data" / "runs"
PACKET = bytes(range(64))


@pytest.mark.parametrize("engine", ["interpreter", "jit"])
def test_every_repetition_starts_with_the_packet_as_given(engine: str) -> None:
    with skep.Machine(engine=engine) as machine:
        program = machine.load(skep.open(RUNS / "grow.bpf.o")["grow"])
        once, often = program.run(PACKET), program.run(PACKET, repeat=1000)
    assert (once.retval, once.packet, once.context) == (often.retval, often.packet, often.context)
    assert once.packet[4:] == b"\xab" * 4 + PACKET[:-2]


@pytest.mark.parametrize("engine", ["interpreter", "jit"])
def test_maps_see_every_repetition(engine: str) -> None:
    with skep.Machine(engine=engine) as machine:
        program = machine.load(skep.open(EXAMPLES / "shorten.bpf.o")["shorten"])
        assert program.run(bytes(101), repeat=1000).name == "XDP_DROP"
        data: Any = machine.maps[".bss"][0]
        assert data["dropped"] == 1000


def test_the_clock_of_repeated_runs_is_the_real_one() -> None:
    with skep.Machine() as machine:
        program = machine.load(skep.open(EXAMPLES / "rate_limiter.bpf.o")["limit"])
        packet = skep.read_capture(EXAMPLES / "traffic.pcap").packets[0].data
        program.run(packet, repeat=100)
        bucket: Any = next(iter(dict(machine.maps["buckets"].decoded()).values()))
    assert bucket["passed"] + bucket["dropped"] == 100
    assert bucket["dropped"] >= 50


def test_what_is_rejected_does_not_reach_the_jit_unless_trusted() -> None:
    peek = skep.open(RUNS / "peek.bpf.o")["peek"]
    with skep.Machine() as machine:
        with pytest.raises(VerdictError, match="R1 offset is outside of the packet") as raised:
            machine.load(peek)
        assert "`skep verify" in str(raised.value)
        assert (raised.value.verdict, raised.value.instruction) == ("reject", 1)
        machine.load(peek, verify=False)
        with pytest.raises(VerdictError, match="is rejected"):
            machine.load(peek)


def test_what_cannot_be_decided_does_not_reach_the_jit(monkeypatch: pytest.MonkeyPatch) -> None:
    def undecided(spec: ProgramSpec, **_: object) -> Report:
        return Report(spec.name, "unsupported", "the weather", program=spec)

    monkeypatch.setenv("SKEP_CACHE", "off")
    codecache.default.cache_clear()
    monkeypatch.setattr("skep.verifier.verify", undecided)
    with skep.Machine() as machine, pytest.raises(VerdictError, match="depends on the weather"):
        machine.load(skep.open(EXAMPLES / "shorten.bpf.o")["shorten"])
    codecache.default.cache_clear()


def test_a_verdict_is_asked_for_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = []

    def counted(spec: ProgramSpec, **_: object) -> Report:
        asked.append(spec.name)
        return verify(spec)

    monkeypatch.setenv("SKEP_CACHE", str(tmp_path / "cache"))
    codecache.default.cache_clear()
    monkeypatch.setattr("skep.verifier.verify", counted)
    spec = skep.open(EXAMPLES / "shorten.bpf.o")["shorten"]
    for one in (spec, spec, replace(spec, license="Proprietary")):
        with skep.Machine() as machine:
            machine.load(one)
    assert asked == ["shorten", "shorten"]
    codecache.default.cache_clear()


def test_requests_that_make_no_sense_are_refused() -> None:
    with skep.Machine(engine="interpreter") as machine:
        program = machine.load(skep.open(EXAMPLES / "shorten.bpf.o")["shorten"])
        with pytest.raises(RequestError, match="repeat is at least 1"):
            program.run(PACKET, repeat=0)
        with pytest.raises(RequestError, match="no CPU 1"):
            program.run(PACKET, cpu=1)
        with pytest.raises(RequestError, match="no map 'nothing'"):
            machine.set_program("nothing", 0, program)
    with pytest.raises(RequestError, match="there is no engine 'magic'"):
        skep.Machine(engine="magic")


def test_programs_of_different_objects_do_not_mix_their_maps() -> None:
    with skep.Machine(engine="interpreter") as machine:
        machine.load(skep.open(EXAMPLES / "shorten.bpf.o")["shorten"])
        with pytest.raises(LoadError, match="defined differently"):
            machine.load(skep.open(EXAMPLES / "rate_limiter.bpf.o")["limit"])


@pytest.mark.parametrize("engine", ["interpreter", "jit"])
def test_a_reserved_field_is_refused_with_its_place(engine: str) -> None:
    spec = skep.open(EXAMPLES / "shorten.bpf.o")["shorten"]
    damaged = (replace(spec.instructions[0], imm=77), *spec.instructions[1:])
    with skep.Machine(engine=engine) as machine, pytest.raises(EncodingError) as refused:
        machine.load(replace(spec, instructions=damaged), verify=False)
    assert "section xdp, instruction 0" in str(refused.value)
    assert "reserves its immediate, which is 77" in str(refused.value)


def test_an_object_of_the_other_byte_order_is_refused() -> None:
    other = "big" if sys.byteorder == "little" else "little"
    spec = replace(skep.open(EXAMPLES / "shorten.bpf.o")["shorten"], byte_order=other)
    with skep.Machine(engine="interpreter") as machine, pytest.raises(LoadError, match=f"built for {other}-endian"):
        machine.load(spec)


def test_a_program_array_is_filled_by_hand(tmp_path: Path) -> None:
    spec = skep.open(EXAMPLES / "tail_call_parser.bpf.o")
    for engine in ("interpreter", "jit"):
        with skep.Machine(engine=engine) as machine:
            parse = machine.load(spec["parse"])
            machine.set_program("stages", 1, machine.load(spec["parse_udp"]))
            packet = skep.read_capture(EXAMPLES / "traffic.pcap").packets[0].data
            parse.run(packet)
            flows: Any = {str(key): value for key, value in machine.maps["flows"].decoded()}
        assert list(flows.values()) == [1]


def test_a_global_is_set_in_the_programs_of_program_arrays_too() -> None:
    spec = skep.with_global(skep.open(EXAMPLES / "tail_call_parser.bpf.o"), "unparsed", 5)
    assert spec["parse"].siblings["parse_udp"] is spec["parse_udp"]
    with skep.Machine(engine="interpreter") as machine:
        machine.load(spec["parse"]).run(bytes(12) + b"\x08\x06" + bytes(46))
        data: Any = machine.maps[".bss"][0]
    assert data["unparsed"] == 6
