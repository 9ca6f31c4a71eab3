"""What `skep run` shows: results, maps, printed lines, faults, written captures, JSON."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from skep.machine import read_capture
from tests.cli.command_line import EXAMPLES, TRAFFIC, Ended, Skep

RUNS = Path(__file__).parents[1] / "data" / "runs"
COUNTER = EXAMPLES / "xdp_counter.bpf.o"
ENGINES = [["--engine", "interpreter"], ["--engine", "jit"]]
PACKET = bytes(range(64))


def objects(ended: Ended) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ended.output.splitlines()]


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine[1])
def test_a_capture_is_counted_by_name(skep: Skep, engine: list[str]) -> None:
    shown = skep("run", COUNTER, "--pcap", TRAFFIC, "--dump-maps", *engine)
    assert shown.status == 0
    assert "XDP_PASS (2)" in shown.output
    assert "97.5%" in shown.output
    assert "by_source: percpu_hash, 8 entries of 1024" in shown.output
    assert "CPU 0: {packets=127, bytes=9398}" in shown.output


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine[1])
def test_json_says_the_same(skep: Skep, engine: list[str]) -> None:
    runs, *maps = objects(skep("run", COUNTER, "--pcap", TRAFFIC, "--dump-maps", "--json", "--cpus", 2, *engine))
    assert (runs["kind"], runs["program"], runs["type"], runs["cpus"]) == ("runs", "xdp_count", "xdp", 2)
    assert runs["retvals"][0] == {"value": 2, "name": "XDP_PASS", "count": 234}
    assert sum(one["count"] for one in runs["retvals"]) == runs["packets"] == 240
    sources = next(one for one in maps if one["name"] == "by_source")
    assert sum(cpu["packets"] for entry in sources["entries"] for cpu in entry["value"]) == 190


def test_a_capture_runs_on_the_jit_once_verified(skep: Skep) -> None:
    (runs,) = objects(skep("run", COUNTER, "--pcap", TRAFFIC, "--json"))
    assert runs["engine"] == "jit"


def test_a_rejected_program_runs_on_the_interpreter_and_says_so(skep: Skep) -> None:
    shown = skep("run", RUNS / "peek.bpf.o", "--pcap", TRAFFIC)
    assert shown.status == 1
    assert shown.errors.startswith(
        "skep: program peek is rejected (R1 offset is outside of the packet): it runs on the interpreter, which "
        "checks every step\n"
    )


def test_trust_is_said_in_one_line(skep: Skep) -> None:
    shown = skep("run", COUNTER, "--pcap", TRAFFIC, "--no-verify")
    assert shown.errors == (
        "skep: program xdp_count is trusted: it runs on the JIT without a proof that it is safe\n"
    )


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine[1])
def test_one_packet_comes_back_as_the_program_left_it(skep: Skep, engine: list[str]) -> None:
    (run,) = objects(skep("run", RUNS / "grow.bpf.o", "--data", PACKET.hex(), "--json", *engine))
    assert (run["retval"], run["name"], run["runs"]) == (3, "XDP_TX", 1)
    metadata = bytes.fromhex(run["packet"])[:4]
    assert bytes.fromhex(run["packet"])[4:] == b"\xab" * 4 + PACKET[:-2]
    assert len(metadata) == 4
    shown = skep("run", RUNS / "grow.bpf.o", "--data", PACKET.hex(), *engine)
    assert "XDP_TX (3)" in shown.output
    assert "ab ab ab ab 00 01 02 03" in shown.output


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine[1])
def test_a_written_capture_holds_the_packets_that_went_on(skep: Skep, tmp_path: Path, engine: list[str]) -> None:
    written = tmp_path / "out.pcap"
    shown = skep("run", RUNS / "grow.bpf.o", "--pcap", TRAFFIC, "--write-pcap", written, *engine)
    assert f"240 packets written to {written}" in shown.output
    before, after = read_capture(TRAFFIC).packets, read_capture(written).packets
    assert [packet.data for packet in after] == [b"\xab" * 4 + packet.data[:-2] for packet in before]
    assert [packet.time for packet in after] == [packet.time for packet in before]


def test_dropped_packets_are_not_written(skep: Skep, tmp_path: Path) -> None:
    written = tmp_path / "out.pcap"
    for engine in ENGINES:
        skep("run", COUNTER, "--pcap", TRAFFIC, "--write-pcap", written, "--set-global", "shortest=70", *engine)
        assert all(len(packet.data) >= 70 for packet in read_capture(written).packets)
        assert len(read_capture(written).packets) > 100


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine[1])
def test_printed_lines_are_shown(skep: Skep, engine: list[str]) -> None:
    shown = skep("run", RUNS / "hello.bpf.o", "--data", PACKET.hex(), *engine)
    assert "CPU 0: 64 bytes on 1" in shown.output
    _, line = objects(skep("run", RUNS / "hello.bpf.o", "--data", PACKET.hex(), "--json", *engine))
    assert (line["kind"], line["text"], line["cpu"]) == ("trace", "64 bytes on 1", 0)


def test_a_fault_names_packet_line_region_and_registers(skep: Skep) -> None:
    stopped = skep("run", RUNS / "peek.bpf.o", "--pcap", TRAFFIC)
    assert stopped.status == 1
    assert "peek.bpf.c:11: packet 26: `r1 = *(u8 *)(r1 + 60)`: reads 1 byte" in stopped.errors
    assert '18 bytes past the end of packet "packet"' in stopped.errors
    assert "return data[60] ? XDP_DROP : XDP_PASS;" in stopped.errors
    assert "registers: r1 0x" in stopped.errors
    (fault,) = objects(skep("run", RUNS / "peek.bpf.o", "--data", PACKET[:60].hex(), "--json"))
    assert (fault["kind"], fault["instruction"], fault["region"]) == ("fault", 1, "packet")
    assert set(fault["registers"]) == {"r1", "r10"}


def test_repeating_repeats(skep: Skep) -> None:
    (runs,) = objects(skep("run", COUNTER, "--pcap", TRAFFIC, "--repeat", 50, "--json"))
    assert (runs["engine"], runs["packets"]) == ("jit", 240 * 50)
    (run,) = objects(skep("run", COUNTER, "--data", PACKET.hex(), "--repeat", 50, "--json"))
    assert (run["engine"], run["runs"]) == ("jit", 50)
    (run,) = objects(skep("run", COUNTER, "--data", PACKET.hex(), "--json"))
    assert (run["engine"], run["runs"]) == ("interpreter", 1)


def test_relocations_are_for_the_kernel_that_is_asked_for(skep: Skep) -> None:
    """The object's own types stand in for a kernel's: there the member is at the start."""
    target = RUNS / "offset.bpf.o"
    for engine in ENGINES:
        (run,) = objects(skep("run", target, "--data", PACKET.hex(), "--btf", target, "--json", *engine))
        assert run["retval"] == 0
    assert "magic number" in skep("run", target, "--data", PACKET.hex(), "--btf", TRAFFIC).complaint


@pytest.mark.skipif(not Path("/sys/kernel/btf/vmlinux").exists(), reason="this kernel does not show its types")
def test_relocations_are_for_this_kernel_unless_another_is_named(skep: Skep) -> None:
    from skep.btf import Btf
    from skep.btf.kinds import Kind

    kernel = Btf.parse(Path("/sys/kernel/btf/vmlinux").read_bytes())
    found = kernel.find("sk_buff", Kind.STRUCT)
    assert found is not None
    field = kernel.member(found, "len")
    assert field is not None
    (run,) = objects(skep("run", RUNS / "offset.bpf.o", "--data", PACKET.hex(), "--json"))
    assert run["retval"] == field.bit_offset // 8 > 0


def on_a_terminal(*arguments: object) -> tuple[str, str]:
    """Standard output of ``skep`` and what it shows on standard error, which is a terminal."""
    ours, theirs = os.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "skep", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    ) as process:
        os.close(theirs)
        shown = b""
        # A terminal whose last writer is gone gives an error to its reader.
        with contextlib.suppress(OSError):
            while part := os.read(ours, 4096):
                shown += part
        os.close(ours)
        assert process.stdout is not None
        output = process.stdout.read()
    assert process.returncode == 0
    return output, shown.decode()


def test_a_long_run_shows_its_progress_on_a_terminal() -> None:
    total = 240 * 200_000
    output, shown = on_a_terminal("run", COUNTER, "--pcap", TRAFFIC, "--repeat", 200_000, "--engine", "jit", "--json")
    seen = {int(done) for done in re.findall(rf"(\d+)/{total}", shown)}
    # It moves, and nothing of it is in the output.
    assert len(seen) > 2
    assert max(seen) <= total
    assert "running" in shown
    (runs,) = (json.loads(line) for line in output.splitlines())
    assert runs["packets"] == total


def test_a_short_run_shows_none() -> None:
    _, shown = on_a_terminal("run", COUNTER, "--pcap", TRAFFIC, "--engine", "interpreter")
    assert shown == ""
