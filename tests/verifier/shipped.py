"""What Linux says of the programs in ``tests/data/real`` and ``tests/data/shipped``, which have the size and the ways
of programs that people ship: recorded, so that it can be compared with on machines that may not ask.

``python -m tests.verifier.shipped`` asks the running kernel and writes the record anew, for review.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from skep.engines.kernel import Kernel
from skep.engines.kernel.running import RUNNING_KERNEL
from skep.errors import KernelError
from skep.objects import ProgramSpec
from skep.objects import open as open_object
from skep.objects.fitting import fit

DATA = Path(__file__).parents[1] / "data"
FOLDERS = ("real", "shipped")
RECORD = DATA / "shipped" / "verdicts.tsv"
#: What stands for the verdict on a program that the recording kernel did not let itself be asked about.
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Said:
    """A verdict, ``accept``, ``reject`` or `UNKNOWN`, and the message of a refusal."""

    verdict: str
    message: str = ""


def objects() -> list[str]:
    """The object files, by folder and name."""
    return [f"{folder}/{file.name}" for folder in FOLDERS for file in sorted((DATA / folder).glob("*.bpf.o"))]


@cache
def record() -> dict[tuple[str, str], Said]:
    """What was recorded, by object and program."""
    rows = [line.split("\t") for line in RECORD.read_text(encoding="utf-8").splitlines()[1:]]
    return {(file, program): Said(verdict, message) for file, program, verdict, message in rows}


def programs(file: str) -> Iterator[ProgramSpec]:
    """The programs of an object, fitted to the running kernel."""
    for program in open_object(str(DATA / file)).programs.values():
        yield fit(program, RUNNING_KERNEL).program


def ask_kernel(program: ProgramSpec) -> Said:
    """What the running kernel says now."""
    try:
        verdict = Kernel().verdict(program, log_level=0)
    except KernelError:
        return Said(UNKNOWN)
    return Said("accept") if verdict.accepted else Said("reject", verdict.message)


def main() -> None:
    """Write the record."""
    lines = ["object\tprogram\tverdict\tmessage"]
    for file in objects():
        for program in programs(file):
            said = ask_kernel(program)
            lines.append("\t".join((file, program.name, said.verdict, said.message)))
    RECORD.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
