"""Programs that show what rejections mean: for each form of message one that gets it, and the same one mended.

``explanations/*.toml`` holds them, ``explanations/cases.h`` what those in C share. ``docs/verdicts_page.py`` makes a
page of them.
"""

from __future__ import annotations

import functools
import subprocess
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import skep
from skep.objects import ProgramSpec, ProgramType
from skep.objects.fitting import KernelFacts
from skep.verifier.kernel.kernel_types import carried_types
from tests.verifier import c_programs
from tests.verifier.programs import program

FOLDER = Path(__file__).parent / "explanations"


@dataclass(frozen=True, slots=True)
class Case:
    """``bad`` is rejected with ``message``, ``good`` is accepted; both are source text in ``language``.

    ``kernel_message`` is what Linux says where it says something else, known to be as good.
    """

    name: str
    message: str
    bad: str
    good: str
    language: str = "assembly"
    type: str = "xdp"
    license: str = "GPL"
    header: str = "cases.h"
    kernel_message: str | None = None
    #: The program needs what the kernels of distributions have: it is verified by the types that the package carries.
    of_distribution: bool = False

    @property
    def facts(self) -> KernelFacts | None:
        """The kernel that it is for, None for the one at hand."""
        return KernelFacts(carried_types) if self.of_distribution else None

    def spec(self, text: str) -> ProgramSpec:
        """One of its programs."""
        if self.language == "c":
            return built(text, self.header)
        types = {one.label: one for one in ProgramType}
        return program(text, types[self.type], license=self.license)


@functools.cache
def cases() -> tuple[Case, ...]:
    """All of them, in the order of the files."""
    return tuple(_cases())


def _cases() -> Iterator[Case]:
    for file in sorted(FOLDER.glob("*.toml")):
        for row in tomllib.loads(file.read_text())["case"]:
            row["bad"], row["good"] = row["bad"].strip("\n"), row["good"].strip("\n")
            yield Case(**row)


@functools.cache
def built(text: str, header: str) -> ProgramSpec:
    """The only program of a source in C, or the one of that name if others are there to be attached to."""
    command = c_programs.compiler()
    assert command is not None
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "program.c", Path(folder) / "program.o"
        source.write_text(f'#include "{header}"\n\n{text}\n')
        triple = subprocess.run([command, "-print-target-triple"], capture_output=True, text=True, check=True).stdout
        headers = triple.strip().replace("-pc-", "-").replace("-unknown-", "-")
        options = ["-O2", "-g", "-Wno-everything", "-target", "bpf", "-mcpu=v3", f"-I/usr/include/{headers}"]
        places = ["-I", str(FOLDER), "-I", str(c_programs.FOLDER)]
        subprocess.run([command, *options, *places, "-c", str(source), "-o", str(target)], check=True)
        found = c_programs.with_targets(skep.open(target).programs)
        return found["program"] if len(found) > 1 else next(iter(found.values()))
