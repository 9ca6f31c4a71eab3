"""`skep run --engine kernel` and `skep bench`: the kernel beside the machine's own engines, on the command line."""

from __future__ import annotations

import json

from tests.cli.command_line import EXAMPLES, TRAFFIC, Skep
from tests.fuzz.conftest import needs_kernel

COUNTER = EXAMPLES / "xdp_counter.bpf.o"
PACKET = "00" * 60


@needs_kernel
def test_a_capture_runs_in_the_kernel(skep: Skep) -> None:
    seen = {}
    for engine in ("kernel", "interpreter"):
        ended = skep("run", COUNTER, "--pcap", TRAFFIC, "--engine", engine, "--json")
        assert ended.status == 0
        report = json.loads(ended.output.splitlines()[0])
        assert report["engine"] == engine
        seen[engine] = report["packets"], report["retvals"]
    assert seen["kernel"] == seen["interpreter"]


@needs_kernel
def test_one_packet_is_repeated_and_its_maps_are_shown(skep: Skep) -> None:
    ended = skep("run", COUNTER, "--data", PACKET, "--engine", "kernel", "--repeat", 50, "--dump-maps", "--json")
    first, *maps = map(json.loads, ended.output.splitlines())
    assert (first["name"], first["runs"]) == ("XDP_PASS", 50)
    (counts,) = [one for one in maps if one["name"] == "by_protocol"]
    assert sum(cpu["packets"] for entry in counts["entries"] for cpu in entry["value"]) == 50


def test_the_kernel_takes_no_count_of_cpus_and_no_seed(skep: Skep) -> None:
    for option in (("--cpus", 2), ("--seed", 1)):
        complaint = skep("run", COUNTER, "--data", PACKET, "--engine", "kernel", *option).complaint
        assert "leave --cpus and --seed out" in complaint


def test_engines_are_timed_side_by_side(skep: Skep) -> None:
    ended = skep("bench", COUNTER, "--data", PACKET, "--engine", "jit,interpreter", "--rounds", 1, "--json")
    jit, interpreter = map(json.loads, ended.output.splitlines())
    assert (jit["engine"], interpreter["engine"]) == ("jit", "interpreter")
    assert 0 < jit["ns_per_run"] < interpreter["ns_per_run"]
    assert jit["fixed_ns"] > 0


@needs_kernel
def test_the_kernel_is_timed_with_its_fixed_cost(skep: Skep) -> None:
    ended = skep("bench", COUNTER, "--pcap", TRAFFIC, "--engine", "kernel", "--rounds", 1)
    assert ended.status == 0
    assert "fixed cost" in ended.output
    assert "kernel" in ended.output


def test_an_engine_that_cannot_run_it_leaves_the_others(skep: Skep) -> None:
    assert "name some of" in skep("bench", COUNTER, "--engine", "abacus").complaint
