"""Bad requests and bad input: one clear line, status 2, nothing half-written."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.command_line import EXAMPLES, TRAFFIC, Skep

COUNTER = EXAMPLES / "xdp_counter.bpf.o"
PEEK = Path(__file__).parents[1] / "data" / "runs" / "peek.bpf.o"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nosuch.o"], "nosuch.o: the file cannot be read: No such file"),
        ([TRAFFIC], "this is not an ELF object"),
        (["/proc/self/exe"], "the object is for machine"),
        ([f"{COUNTER}:nope"], "there is no program 'nope'; there are: xdp_count"),
        ([COUNTER], "needs a packet: give a capture with --pcap"),
        ([COUNTER, "--data", "zz"], "--data is not hexadecimal"),
        ([COUNTER, "--data", "00"], "takes inputs of 14 to"),
        ([COUNTER, "--data", "00", "--pcap", TRAFFIC], "choose one"),
        ([COUNTER, "--data-file", "nosuch"], "nosuch: the file cannot be read"),
        ([COUNTER, "--pcap", "nosuch"], "nosuch: the capture cannot be read"),
        ([COUNTER, "--pcap", COUNTER], "neither a pcap nor a pcapng file"),
        ([COUNTER, "--pcap", TRAFFIC, "--ctx", TRAFFIC], "--ctx goes with one input"),
        ([COUNTER, "--write-pcap", "x.pcap", "--data", "00" * 64], "--write-pcap needs the packets of a capture"),
        ([PEEK, "--pcap", TRAFFIC, "--engine", "jit"], "is rejected: R1 offset is outside of the packet"),
        ([PEEK, "--pcap", TRAFFIC, "--engine", "jit"], "if it is trusted with --no-verify"),
        ([COUNTER, "--set-global", "nope=1", "--pcap", TRAFFIC], "no global variable 'nope'; there are shortest"),
        ([COUNTER, "--set-global", "shortest", "--pcap", TRAFFIC], "write NAME=VALUE"),
        ([COUNTER, "--set-global", "shortest=-1", "--pcap", TRAFFIC], "does not fit"),
        ([COUNTER, "--type", "foo", "--pcap", TRAFFIC], "there is no program type 'foo'"),
        ([COUNTER, "--type", "kprobe", "--pcap", TRAFFIC], "programs of type kprobe cannot run here"),
        ([COUNTER, "--repeat", "0", "--pcap", TRAFFIC], "0 is not in the range"),
        ([COUNTER, "--no-such-option"], "skep run --help"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(skep: Skep, arguments: list[object], says: str) -> None:
    assert says in skep("run", *arguments).complaint


def test_a_cut_object_and_a_cut_capture_name_the_place(skep: Skep, tmp_path: Path) -> None:
    cut = tmp_path / "cut.o"
    cut.write_bytes(COUNTER.read_bytes()[:3000])
    assert str(cut) in skep("run", cut, "--pcap", TRAFFIC).complaint
    capture = tmp_path / "cut.pcap"
    capture.write_bytes(TRAFFIC.read_bytes()[:1000])
    assert "cut off inside packet" in skep("run", COUNTER, "--pcap", capture).complaint


def test_nothing_is_written_when_the_run_is_refused(skep: Skep, tmp_path: Path) -> None:
    capture = tmp_path / "cut.pcap"
    capture.write_bytes(TRAFFIC.read_bytes()[:1000])
    written = tmp_path / "out.pcap"
    assert skep("run", COUNTER, "--pcap", capture, "--write-pcap", written).status == 2
    assert not written.exists()


def test_a_command_that_does_not_exist_is_refused(skep: Skep) -> None:
    assert "No such command 'frobnicate'" in skep("frobnicate").complaint


def test_help_names_every_command(skep: Skep) -> None:
    from skep.cli import COMMANDS

    shown = skep("--help")
    assert shown.status == 0
    assert all(name in shown.output for name in COMMANDS)
    for name in COMMANDS:
        assert skep(name, "--help").status == 0


def test_a_capture_that_cannot_be_written_is_said_before_the_run(skep: Skep, tmp_path: Path) -> None:
    there = tmp_path / "no" / "such.pcap"
    # A billion runs: if they came first, this test would not end.
    asked = skep("run", COUNTER, "--pcap", TRAFFIC, "--write-pcap", there, "--repeat", 10**9, "--engine", "jit")
    assert asked.complaint == f"skep: {there}: the capture cannot be written: No such file or directory"


def test_a_name_that_is_empty_names_no_file(skep: Skep) -> None:
    refused = skep("run", COUNTER, "--pcap", "")
    assert refused.complaint == "skep: the capture cannot be read: No such file or directory"
