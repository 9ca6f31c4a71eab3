"""The examples do what their comments say, alike on every engine, and as the running kernel does."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import skep

EXAMPLES = Path(__file__).parents[2] / "examples"
OBJECTS = sorted(path.name for path in EXAMPLES.glob("*.bpf.o"))
TRAFFIC = skep.read_capture(EXAMPLES / "traffic.pcap")
ENGINES = ["interpreter", "jit"]
PROGRAMS = {
    "xdp_counter.bpf.o": "xdp_count",
    "tc_rewrite.bpf.o": "rewrite",
    "rate_limiter.bpf.o": "limit",
    "shorten.bpf.o": "shorten",
    "tail_call_parser.bpf.o": "parse",
}


def ran(
    engine: str, name: str, tmp_path: Path, cpus: int = 1, **settings: object
) -> tuple[skep.Runs, dict[str, Any]]:
    """An example over the traffic: what was returned, what survived, and the maps afterwards, decoded."""
    spec = skep.open(EXAMPLES / name)
    for variable, value in settings.items():
        spec = skep.with_global(spec, variable, value)
    with skep.Machine(cpus, engine=engine, seed=1) as machine:
        program = machine.load(spec[PROGRAMS[name]])
        runs = machine.run_capture(program, TRAFFIC, write=tmp_path / f"{engine}.pcap")
        shown = [one for one in machine.maps.values() if one.spec.type.label != "prog_array"]
        return runs, {one.name: {str(key): value for key, value in one.decoded()} for one in shown}


@pytest.mark.parametrize("name", OBJECTS)
def test_both_engines_agree_on_returns_maps_and_packets(name: str, tmp_path: Path) -> None:
    reference, reference_maps = ran("interpreter", name, tmp_path)
    compiled, compiled_maps = ran("jit", name, tmp_path)
    assert compiled.counts == reference.counts
    assert compiled_maps == reference_maps
    assert list(compiled.survivors) == list(reference.survivors)
    assert sum(compiled.counts.values()) == len(TRAFFIC.packets)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_counter_counts_what_the_capture_holds(engine: str, tmp_path: Path) -> None:
    runs, maps = ran(engine, "xdp_counter.bpf.o", tmp_path)
    kinds = Counter(packet.data[12:14] for packet in TRAFFIC.packets)
    arp, ipv6 = maps["by_protocol"]["1"][0], maps["by_protocol"]["5"][0]
    assert (arp["packets"], ipv6["packets"]) == (kinds[b"\x08\x06"], kinds[b"\x86\xdd"])
    by_source = sum(value[0]["packets"] for value in maps["by_source"].values())
    assert by_source == sum(
        packet.data[12:14] == b"\x08\x00" and len(packet.data) >= 34 for packet in TRAFFIC.packets
    )
    counted = sum(value[0]["packets"] for value in maps["by_protocol"].values())
    assert counted == runs.counts[2]


@pytest.mark.parametrize("engine", ENGINES)
def test_the_counter_drops_what_is_too_short(engine: str, tmp_path: Path) -> None:
    runs, _ = ran(engine, "xdp_counter.bpf.o", tmp_path, shortest=70)
    assert runs.counts[1] == sum(len(packet.data) < 70 for packet in TRAFFIC.packets)


@pytest.mark.parametrize("engine", ENGINES)
def test_rewritten_packets_have_right_checksums(engine: str, tmp_path: Path) -> None:
    import dpkt

    runs, maps = ran(engine, "tc_rewrite.bpf.o", tmp_path)
    rewritten = 0
    for before, after in zip(TRAFFIC.packets, runs.survivors, strict=True):
        if before.data == after.data:
            continue
        rewritten += 1
        ip = dpkt.ethernet.Ethernet(after.data).data
        assert (ip.dst, ip.data.dport) == (bytes([10, 0, 2, 1]), 8080)
        sums = ip.sum, ip.data.sum
        ip.sum = ip.data.sum = 0
        again = dpkt.ip.IP(bytes(ip))
        assert (again.sum, again.data.sum) == sums
    assert rewritten == maps[".bss"]["0"]["rewritten"] > 100


@pytest.mark.parametrize("engine", ENGINES)
def test_the_limiter_stops_the_eager_client_alone(engine: str, tmp_path: Path) -> None:
    runs, maps = ran(engine, "rate_limiter.bpf.o", tmp_path, rate=50, burst=10)
    dropping = [bucket for bucket in maps["buckets"].values() if bucket["dropped"]]
    assert [bucket["dropped"] for bucket in dropping] == [runs.counts[1]]
    assert runs.counts[1] > 50


@pytest.mark.parametrize("engine", ENGINES)
def test_the_parser_goes_from_program_to_program(engine: str, tmp_path: Path) -> None:
    _, maps = ran(engine, "tail_call_parser.bpf.o", tmp_path)
    parsed = sum(maps["flows"].values())
    assert parsed + maps[".bss"]["0"]["unparsed"] == len(TRAFFIC.packets)
    assert parsed > 200


def test_two_cpus_lose_no_tokens_and_no_counts(tmp_path: Path) -> None:
    spec = skep.open(EXAMPLES / "rate_limiter.bpf.o")
    with skep.Machine(2, seed=1) as machine:
        program = machine.load(spec["limit"])
        runs = machine.run_capture(program, TRAFFIC, repeat=500)
        buckets: list[Any] = [value for _, value in machine.maps["buckets"].decoded()]
    limited = sum(bucket["passed"] + bucket["dropped"] for bucket in buckets)
    others = sum(packet.data[12:14] != b"\x08\x00" or len(packet.data) < 34 for packet in TRAFFIC.packets) * 500
    assert limited + others == runs.packets
    assert sum(bucket["dropped"] for bucket in buckets) == runs.counts.get(1, 0)


def test_the_capture_is_what_its_script_writes(tmp_path: Path) -> None:
    made = tmp_path / "traffic.pcap"
    subprocess.run([sys.executable, EXAMPLES / "make_capture.py", made], check=True)
    assert made.read_bytes() == (EXAMPLES / "traffic.pcap").read_bytes()
