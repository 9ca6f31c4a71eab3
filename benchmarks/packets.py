"""How many packets a second a program takes: ``python benchmarks/packets.py``.

The counter of the examples over the capture of the examples, held in memory and run round after round in the native
loop, on one CPU and on two. Laying out each packet (a copy, and its context) is part of the time. Two figures a row:
packets a second by the clock on the wall, and nanoseconds of processor time a packet, which other work on the machine
disturbs less. Medians of several rounds, the two settings in turn.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
from pathlib import Path

import skep

EXAMPLES = Path(__file__).parents[1] / "examples"
#: Runs of the whole capture that one measurement makes: some seconds.
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


def main() -> None:
    """Measure and print a table, or with ``--json`` one object."""
    settings = [1, 2] if (os.cpu_count() or 1) > 1 else [1]
    found: dict[int, list[tuple[float, float]]] = {cpus: [] for cpus in settings}
    for _ in range(ROUNDS):
        for cpus in settings:
            found[cpus].append(measure(cpus))
    rates = {cpus: statistics.median(rate for rate, _ in one) for cpus, one in found.items()}
    times = {cpus: statistics.median(time for _, time in one) for cpus, one in found.items()}
    speedup = rates[2] / rates[1] if 2 in rates else None
    ideal = 2 * times[1] / times[2] if 2 in times else None
    if "--json" in sys.argv:
        rows = [{"cpus": cpus, "packets_per_second": rates[cpus], "ns_per_packet": times[cpus]} for cpus in settings]
        print(
            json.dumps({"benchmark": "packets", "rows": rows, "speedup": speedup, "speedup_by_processor_time": ideal})
        )
        return
    print("CPUs  million packets/s  ns of a CPU a packet")
    for cpus in settings:
        print(f"{cpus:4}  {rates[cpus] / 1e6:17.1f}  {times[cpus]:20.1f}")
    print(f"target: {TARGET_RATE / 1e6:.0f} million a second on one CPU")
    if speedup is not None and ideal is not None:
        print(
            f"two CPUs: {speedup:.2f} times one on the wall, {ideal:.2f} by processor time; target {TARGET_SPEEDUP}"
        )


if __name__ == "__main__":
    main()
