"""Instructions followed a second, beside the running kernel's verifier, for the programs of some objects.

    python benchmarks/verifier.py [--compiled PYTHON] [OBJECT...]

Without objects: the examples, the programs of the size people ship in ``tests/data/real`` and ``tests/data/shipped``,
and those of package xdp-tools where it is installed. ``--compiled`` (or ``SKEP_COMPILED_PYTHON``) is the interpreter
of an environment in which skep was installed with ``SKEP_COMPILE=1``: it is measured in the same run.

Every program is verified by all in turn, round by round, so that whatever else the machine does hits them alike;
a figure is the median of its rounds. Times are of the process, and in the kernel what it says itself.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import skep
from skep.engines.kernel import Kernel, missing_right
from skep.errors import SkepError
from skep.objects import ProgramSpec, Spec

_INSTALLED = Path("/usr/lib/x86_64-linux-gnu/bpf")
#: A program is large from as many instructions followed on.
LARGE = 10_000
#: How many rounds a program gets at most, and how many seconds in plain Python after which there are no more.
_ROUNDS = 9
_SECONDS = 0.5


class Verifier:
    """A process with one build of the verifier, which is asked for one verification at a time."""

    def __init__(self, python: str) -> None:
        command = [python, __file__, "--serve"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.name = self._line()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def verify(self, file: str, name: str) -> tuple[str, int, float]:
        """The verdict on a program, the instructions followed, and the seconds it took."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{file}\t{name}\n")
        self._process.stdin.flush()
        verdict, processed, seconds = self._line().split()
        return verdict, int(processed), float(seconds)

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def serve() -> None:
    """Be the process of a ``Verifier``: say which build this is, then answer."""
    from skep.verifier.paths import exploration

    print("plain" if exploration.__file__.endswith(".py") else "compiled", flush=True)
    opened: dict[str, Spec] = {}
    for line in sys.stdin:
        file, name = line.rstrip("\n").split("\t")
        if file not in opened:
            opened[file] = skep.open(file)
        spec = opened[file].programs[name]
        started = time.process_time()
        report = skep.verify(spec)
        print(report.verdict, report.processed, time.process_time() - started, flush=True)


@dataclass
class Figures:
    """What was measured of one program: seconds by who verified it."""

    name: str
    verdict: str = ""
    processed: int = 0
    rounds: dict[str, list[float]] = field(default_factory=dict)
    in_kernel: int = 0

    def seconds(self, who: str) -> float:
        """The median of the rounds."""
        return statistics.median(self.rounds[who])

    def ratio(self, who: str) -> float:
        """The kernel's time as a share of this one's."""
        return self.seconds("kernel") / self.seconds(who)


def kernel_figures(spec: ProgramSpec) -> tuple[int, float] | None:
    """Instructions that the kernel followed, and its seconds; None where it does not accept the program.

    The kernel reads a clock that goes on while others run: no more counts than this process spent on loading.
    """
    started = time.process_time()
    try:
        with Kernel().load(spec, log_level=4) as loaded:
            spent = time.process_time() - started
            log = loaded.log
    except SkepError:
        return None
    processed = re.search(r"^processed (\d+)", log, re.MULTILINE)
    microseconds = re.search(r"^verification time (\d+)", log, re.MULTILINE)
    if processed is None or microseconds is None:
        return None
    return int(processed[1]), min(int(microseconds[1]) / 1e6, spent)


def measure(file: str, spec: ProgramSpec, verifiers: Iterable[Verifier], *, asks_kernel: bool) -> Figures:
    """Verify a program in turn, until there were enough rounds."""
    found = Figures(spec.name)
    spent = 0.0
    for _ in range(_ROUNDS):
        for verifier in verifiers:
            verdict, processed, seconds = verifier.verify(file, spec.name)
            found.verdict, found.processed = verdict, processed
            found.rounds.setdefault(verifier.name, []).append(seconds)
            spent += seconds
        in_kernel = kernel_figures(spec) if asks_kernel else None
        if in_kernel is None:
            asks_kernel = False
        else:
            found.in_kernel = in_kernel[0]
            found.rounds.setdefault("kernel", []).append(in_kernel[1])
        if spent > _SECONDS:
            break
    return found


def _columns(one: Figures, who: str) -> str:
    seconds = one.seconds(who)
    text = f"{seconds * 1e3:>9.2f} {one.processed / seconds / 1e3:>7.0f}"
    return text + (f" {one.ratio(who):>5.2f}" if "kernel" in one.rounds and who != "kernel" else " " * 6)


def _sums(title: str, programs: list[Figures], names: list[str]) -> None:
    """One line of sums a build: the rate, and beside the kernel's over what both accept."""
    if not programs:
        return
    followed = sum(one.processed for one in programs)
    print(f"{title}: {len(programs)}, {followed} instructions")
    compared = [one for one in programs if "kernel" in one.rounds and one.verdict == "accept"]
    for name in names:
        rate = followed / sum(one.seconds(name) for one in programs) / 1e3
        text = f"  {name:<9} {rate:>6.0f} thousand a second"
        if compared:
            whole = sum(one.seconds("kernel") for one in compared) / sum(one.seconds(name) for one in compared)
            ratios = [one.ratio(name) for one in compared]
            text += f"; {whole:.2f} of the kernel's rate, a program {min(ratios):.2f} to {max(ratios):.2f}"
            text += f", median {statistics.median(ratios):.2f}"
        print(text)
    if compared:
        most = max(one.processed / one.in_kernel for one in compared)
        in_kernel = sum(one.in_kernel for one in compared)
        rate = in_kernel / sum(one.seconds("kernel") for one in compared) / 1e3
        print(f"  {'kernel':<9} {rate:>6.0f} thousand a second; {in_kernel} instructions where skep follows")
        print(f"  {'':<9} {sum(one.processed for one in compared)}, at most {most:.2f} times as many")


def main(files: list[str], compiled: str | None) -> None:
    """Print one line a program, and sums."""
    verifiers = [Verifier(python) for python in (sys.executable, compiled) if python]
    names = [verifier.name for verifier in verifiers]
    asks = missing_right() is None
    heads = "".join(f" | {name:>9}: ms, k/s, ratio" for name in names)
    print(f"{'program':<24} {'verdict':<11} {'followed':>8}{heads} | kernel: ms, k/s")
    programs = []
    for file in files:
        for spec in skep.open(file).programs.values():
            if spec.type is None or spec.core_relocations:
                continue
            one = measure(file, spec, verifiers, asks_kernel=asks)
            programs.append(one)
            columns = "".join(f" | {_columns(one, name):>24}" for name in names)
            kernel = f" | {_columns(one, 'kernel')}" if "kernel" in one.rounds else ""
            print(f"{one.name:<24} {one.verdict:<11} {one.processed:>8}{columns}{kernel}".rstrip())
    for verifier in verifiers:
        verifier.close()
    _sums(f"programs above {LARGE} instructions", [one for one in programs if one.processed > LARGE], names)
    _sums("all", programs, names)


def _default_files() -> list[str]:
    return [
        str(one)
        for place, pattern in (
            (Path("examples"), "*.o"),
            (Path("tests/data/real"), "*.o"),
            (Path("tests/data/shipped"), "*.o"),
            (_INSTALLED, "xdpfilt*.o"),
        )
        for one in sorted(place.glob(pattern))
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("objects", nargs="*", metavar="OBJECT")
    parser.add_argument("--compiled", metavar="PYTHON", default=os.environ.get("SKEP_COMPILED_PYTHON"))
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve()
    else:
        main(arguments.objects or _default_files(), arguments.compiled)
