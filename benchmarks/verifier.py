"""Instructions followed and time taken, beside the running kernel's, for the programs of some objects.

    python benchmarks/verifier.py [OBJECT...]

Without objects: the examples, the programs of the size people ship in ``tests/data/real`` and ``tests/data/shipped``,
and those of package xdp-tools where it is installed.
"""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path

import skep
from skep.engines.kernel import Kernel, missing_right
from skep.errors import SkepError
from skep.objects import ProgramSpec

_INSTALLED = Path("/usr/lib/x86_64-linux-gnu/bpf")


def kernel_figures(spec: ProgramSpec) -> tuple[int, float] | None:
    """Instructions that the kernel followed, and its milliseconds; None where it does not accept the program."""
    try:
        with Kernel().load(spec, log_level=4) as loaded:
            log = loaded.log
    except SkepError:
        return None
    processed = re.search(r"^processed (\d+)", log, re.MULTILINE)
    microseconds = re.search(r"^verification time (\d+)", log, re.MULTILINE)
    if processed is None or microseconds is None:
        return None
    return int(processed[1]), int(microseconds[1]) / 1e3


def main(files: list[str]) -> None:
    """Print one line a program, and sums."""
    asks = missing_right() is None
    print(f"{'program':<28} {'verdict':<12} {'followed':>9} {'ms':>9} {'k/s':>7}   kernel: followed, ms")
    followed = seconds = 0.0
    both = [0, 0]
    furthest = 0.0
    for file in files:
        for spec in skep.open(file).programs.values():
            if spec.type is None or spec.core_relocations:
                continue
            started = time.process_time()
            report = skep.verify(spec)
            taken = time.process_time() - started
            followed += report.processed
            seconds += taken
            figures = kernel_figures(spec) if asks else None
            beside = f"{figures[0]:>9} {figures[1]:>8.2f}" if figures else ""
            if figures and report.accepted:
                both[0] += report.processed
                both[1] += figures[0]
                furthest = max(furthest, report.processed / figures[0])
            rate = report.processed / taken / 1e3
            ours = f"{report.processed:>9} {taken * 1e3:>9.1f} {rate:>7.1f}"
            print(f"{spec.name:<28} {report.verdict:<12} {ours}   {beside}")
    print(f"{followed:.0f} instructions in {seconds:.2f} s: {followed / seconds / 1e3:.1f} thousand a second")
    if both[1]:
        followed_here, in_kernel = both
        print(f"accepted by both: {followed_here} followed, {in_kernel} in the kernel; at most {furthest:.2f} times")


if __name__ == "__main__":
    main(
        sys.argv[1:]
        or [
            str(one)
            for place, pattern in (
                (Path("examples"), "*.o"),
                (Path("tests/data/real"), "*.o"),
                (Path("tests/data/shipped"), "*.o"),
                (_INSTALLED, "xdpfilt*.o"),
            )
            for one in sorted(place.glob(pattern))
        ]
    )
