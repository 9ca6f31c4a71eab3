"""Logs of the verifier beside the running kernel's, line by line.

``python -m tests.verifier.logs LEVEL [NAME]`` shows where they differ, of the corpus and the programs in C.
"""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from skep.engines.kernel import Kernel
from skep.engines.kernel.running import RUNNING_KERNEL
from skep.errors import KernelError
from skep.objects import ProgramSpec
from skep.objects.fitting import fit
from skep.verifier import verify
from tests.verifier import c_programs, programs

#: Instructions followed in a program at most: a longer log says the same again.
_LONGEST = 20_000

#: Addresses of maps differ from load to load; what stands behind them moves with their length.
_ADDRESS = re.compile(r"(\(18\) r\d+ = )0x[0-9a-f]+ *")


def of_kernel(spec: ProgramSpec, level: int) -> list[str]:
    """The lines of the running kernel's log."""
    try:
        with Kernel().load(spec, log_level=level) as loaded:
            return _lines(loaded.log)
    except KernelError as error:
        return _lines(error.log)


def of_skep(spec: ProgramSpec, level: int) -> list[str]:
    """The lines of skep's; none of a program that cannot be decided."""
    report = verify(spec, log_level=level, facts=RUNNING_KERNEL)
    return [] if report.verdict == "unsupported" else _lines(report.log)


def _lines(log: str) -> list[str]:
    return [_ADDRESS.sub(r"\1ADDRESS ", line.rstrip()) for line in log.splitlines() if line.strip()]


@dataclass(frozen=True, slots=True)
class Compared:
    """The logs of one program, and how many lines are in both, in order."""

    name: str
    kernel: list[str]
    skep: list[str]

    @property
    def lines(self) -> int:
        """The lines of the longer."""
        return max(len(self.kernel), len(self.skep))

    @property
    def same(self) -> int:
        """Lines that are the same."""
        matcher = difflib.SequenceMatcher(None, self.kernel, self.skep, autojunk=False)
        return sum(block.size for block in matcher.get_matching_blocks())

    def difference(self) -> str:
        """What differs, as diff shows it."""
        return "\n".join(difflib.unified_diff(self.kernel, self.skep, "kernel", "skep", lineterm="", n=1))


def of_corpus(level: int) -> Iterator[Compared]:
    """The small programs in assembly, those that the kernel takes at all."""
    for case in programs.cases():
        kernel = of_kernel(case.spec, level)
        if kernel or case.spec.attach_target is None:
            yield Compared(case.name, kernel, of_skep(case.spec, level))


def of_c_programs(level: int, every: int = 1) -> Iterator[Compared]:
    """The programs in C (each ``every``-th), those that the kernel takes at all and skep can decide in short."""
    for source in c_programs.names():
        for name, spec in list(c_programs.programs(source).items())[::every]:
            fitted = fit(spec, RUNNING_KERNEL).program
            if verify(fitted, limit=_LONGEST).verdict == "unsupported":
                continue
            kernel, skep = of_kernel(fitted, level), of_skep(fitted, level)
            if kernel and skep:
                yield Compared(f"{source}: {name}", kernel, skep)


def main(level: int, name: str) -> None:
    """Print what differs, and how much is the same."""
    same = lines = whole = count = 0
    for programs_of in (of_corpus, of_c_programs):
        for one in programs_of(level):
            if name not in one.name:
                continue
            count += 1
            same, lines, whole = same + one.same, lines + one.lines, whole + (one.kernel == one.skep)
            if one.kernel != one.skep:
                print(f"===== {one.name}\n{one.difference()}")
    print(f"{same} of {lines} lines are the same ({100 * same / max(lines, 1):.2f}%), {whole} of {count} whole logs")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "")
