"""The public bpf_conformance suite, read from a directory that the environment names (it is not part of skep).

Set ``SKEP_CONFORMANCE`` to the suite's ``tests`` directory. Here its programs are assembled, compared with the
machine code where the file gives it, written in both dialects and assembled again.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from skep.isa import assemble, check, disassemble, encode, listing

DIRECTORY = os.environ.get("SKEP_CONFORMANCE")

pytestmark = pytest.mark.skipif(
    DIRECTORY is None, reason="SKEP_CONFORMANCE does not name the tests directory of the bpf_conformance suite"
)


def files() -> list[Path]:
    return [] if DIRECTORY is None else sorted(Path(DIRECTORY).glob("*.data"))


def sections(path: Path) -> dict[str, str]:
    """The sections of a file by name (asm, raw, mem, result, error, …)."""
    parts = re.split(r"^-- (.*)$", path.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_the_directory_holds_the_suite() -> None:
    assert len(files()) >= 300


@pytest.mark.parametrize("path", files(), ids=lambda path: path.stem)
def test_programs_assemble_and_survive_both_dialects(path: Path) -> None:
    found = sections(path)
    text = found["asm"]
    program = assemble(text, dialect="mnemonic").instructions
    assert assemble(text).instructions == program
    check(program)
    if "raw" in found:
        words = [int(word, 16) for word in re.findall(r"0x[0-9a-fA-F]+", found["raw"])]
        assert encode(program) == b"".join(word.to_bytes(8, "little") for word in words)
    for dialect in ("kernel", "mnemonic"):
        assert assemble(listing(disassemble(program, dialect=dialect)), dialect=dialect).instructions == program
