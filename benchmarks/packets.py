"""How many packets a second a program takes: ``python benchmarks/packets.py``.

The counter of the examples over the capture of the examples, held in memory and run round after round in the native
loop, on one CPU and on two. Laying out each packet (a copy, and its context) is part of the time. Two figures a row:
packets a second by the clock on the wall, and nanoseconds of processor time a packet, which other work on the machine
disturbs less. Medians of several rounds, the settings in turn.

Two CPUs slow each other down even where they share nothing: processors share their clock, and virtual ones perhaps
their core. So the same is measured for two processes, each with one CPU: what the machine has to give.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import skep

EXAMPLES = Path(__file__).parents[1] / "examples"
#: Runs of the whole capture, of 240 packets, that one measurement makes.
REPEAT = 100_000
ROUNDS = 5
TARGET_RATE = 10e6
TARGET_SPEEDUP = 1.8


def measure(cpus: int) -> tuple[float, float]:
    """Packets a second on the wall, and nanoseconds of one processor a packet."""
    spec = skep.open(EXAMPLES / "xdp_counter.bpf.o")
    capture = skep.read_capture(EXAMPLES / "traffic.pcap")
    with skep.Machine(cpus) as machine:
        program = machine.load(spec["xdp_count"])
        machine.run_capture(program, capture, repeat=100)
        runs = machine.run_capture(program, capture, repeat=REPEAT)
        return runs.packets / runs.wall_ns * 1e9, runs.ns_per_packet


def measure_processes() -> tuple[float, float]:
    """The same of two processes with one CPU each, tied to different cores."""
    cores = sorted(os.sched_getaffinity(0))[:2]
    processes = [
        subprocess.Popen(
            [sys.executable, __file__, "--process", str(core)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for core in cores
    ]
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    outputs = [[float(word) for word in process.communicate()[0].split()] for process in processes]
    return sum(rate for rate, _ in outputs), statistics.fmean(spent for _, spent in outputs)


def be_process(core: int) -> None:
    """One of these processes: it waits for a line before it starts."""
    os.sched_setaffinity(0, {core})
    print(flush=True)
    sys.stdin.readline()
    print(*measure(1))


def main() -> None:
    """Measure and print a table, or with ``--json`` one object."""
    if "--process" in sys.argv:
        be_process(int(sys.argv[-1]))
        return
    ways: dict[str, Callable[[], tuple[float, float]]] = {"one CPU": lambda: measure(1)}
    if (os.cpu_count() or 1) > 1:
        ways |= {"two CPUs": lambda: measure(2), "two processes": measure_processes}
    found: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    for _ in range(ROUNDS):
        for way, measured in ways.items():
            found[way].append(measured())
    rates = {way: statistics.median(rate for rate, _ in one) for way, one in found.items()}
    times = {way: statistics.median(time for _, time in one) for way, one in found.items()}
    speedups = {
        way: (rates[way] / rates["one CPU"], 2 * times["one CPU"] / times[way]) for way in ways if way != "one CPU"
    }
    if "--json" in sys.argv:
        rows = [{"way": way, "packets_per_second": rates[way], "ns_per_packet": times[way]} for way in ways]
        gains = {way: {"wall": wall, "processor_time": spent} for way, (wall, spent) in speedups.items()}
        print(json.dumps({"benchmark": "packets", "rows": rows, "speedups": gains}))
        return
    print("               million packets/s  ns of a CPU a packet")
    for way in ways:
        print(f"{way:13}  {rates[way] / 1e6:17.1f}  {times[way]:20.1f}")
    print(f"target: {TARGET_RATE / 1e6:.0f} million a second on one CPU")
    for way, (wall, spent) in speedups.items():
        print(f"{way}: {wall:.2f} times one on the wall, {spent:.2f} by processor time; target {TARGET_SPEEDUP}")


if __name__ == "__main__":
    main()
