"""What real kernels said of programs of this repository: recorded, so that it can be compared with without them.

``python -m tests.versions.measure RECORD`` asks the running kernel of all of them, as root, and writes its answers
into its column of ``measured.tsv`` (or the copy RECORD), for review. The kernels were Debian's, each in a virtual
machine with the files of this one: 6.1.192, 6.12.117, 6.16.12, 6.17.13, 6.18.15, 6.19.14, 7.0.13, 7.1.13, 7.2.12
and 7.3.4.
"""

from __future__ import annotations

import csv
import hashlib
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import skep
from skep.isa import encode
from skep.objects import ProgramSpec
from skep.versions import KernelVersion
from tests.verifier import random_iterations, random_stack_objects
from tests.verifier.programs import ask_kernel, cases
from tests.verifier.random_programs import deep_program, random_program

RECORD = Path(__file__).with_name("measured.tsv")
ROOT = Path(__file__).parents[2]
ACCEPTED = "accept"
#: Refused without a word of the verifier's: a map, a type, a kernel function that the kernel does not have.
REFUSED = "reject"
#: The same as 6.18 says; nothing is known.
SAME, UNKNOWN = "=", "-"
FIRST = "6.18"

_FOLDERS = ("tests/data/real", "tests/data/shipped", "tests/data/forms", "examples")
#: What depends on how a kernel was built, or on programs beside it that are loaded with it.
_LEFT_OUT = ("externs", "lirc", "fentry_sleepable", "fmod_ret1", "tail_call_parser.bpf.o:parse")
_GENERATORS: dict[str, tuple[Callable[[int], ProgramSpec], int]] = {
    "plain": (random_program, 300),
    "deep": (deep_program, 100),
    "stack objects": (random_stack_objects.random_program, 60),
    "iterations": (random_iterations.random_program, 60),
}


@dataclass(frozen=True, slots=True)
class Measured:
    """What was said of one program, by version: ACCEPTED, REFUSED, or the message of the refusal."""

    name: str
    said: dict[str, str]


def programs() -> Iterator[tuple[str, ProgramSpec]]:
    """All programs that are asked about, by name; the name of a random one ends with a digest of it."""
    for case in cases():
        yield f"corpus/{case.name}", case.spec
    for folder in _FOLDERS:
        for file in sorted((ROOT / folder).glob("*.bpf.o")):
            for name, spec in skep.open(file).programs.items():
                whole = f"{folder}/{file.name}:{name}"
                if not any(part in whole for part in _LEFT_OUT):
                    yield whole, spec
    for kind, (make, count) in _GENERATORS.items():
        for seed in range(count):
            spec = make(seed)
            yield f"{kind}/{seed} {hashlib.sha256(encode(spec.instructions)).hexdigest()[:8]}", spec


def record(path: Path = RECORD) -> list[Measured]:
    """The rows of the record."""
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [
        Measured(
            row["program"],
            {
                version: row[FIRST] if said == SAME else said
                for version, said in row.items()
                if version != "program" and said != UNKNOWN
            },
        )
        for row in rows
    ]


def write(rows: list[Measured], path: Path = RECORD) -> None:
    """Write the record, what is the same as 6.18 says in short."""
    versions = sorted({one for row in rows for one in row.said if one != FIRST}, key=KernelVersion.of)
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream, delimiter="\t", quoting=csv.QUOTE_NONE, quotechar=None, lineterminator="\n")
        writer.writerow(["program", FIRST, *versions])
        for row in rows:
            first = row.said.get(FIRST, UNKNOWN)
            cells = [row.said.get(version, UNKNOWN) for version in versions]
            writer.writerow([row.name, first, *(SAME if one == first and one != UNKNOWN else one for one in cells)])


def main(path: Path) -> None:
    """Ask the running kernel."""
    version = str(KernelVersion.parse(platform.release()))
    known = {row.name: row for row in record(path)} if path.exists() else {}
    rows = []
    for name, spec in programs():
        answer = ask_kernel(spec)
        said = ACCEPTED if answer.verdict == "accept" else answer.message.replace("\t", " ") or REFUSED
        before = known[name].said if name in known else {}
        rows.append(Measured(name, {**before, version: said}))
    write(rows, path)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else RECORD)
