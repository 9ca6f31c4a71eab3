"""The page about assembly says what the code does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from skep.isa import assemble, decode, encode, instruction_text

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "assembly.md").read_text() if (DOCS / "assembly.md").exists() else ""


def test_the_table_is_that_of_the_code() -> None:
    check = (
        "import runpy, sys; m = runpy.run_path(sys.argv[1]); p = m['PAGE'].read_text(); sys.exit(m['page'](p) != p)"
    )
    done = subprocess.run([sys.executable, "-c", check, str(DOCS / "instruction_table.py")], check=False)
    assert done.returncode == 0, "the table is out of date; run python docs/instruction_table.py"


def test_the_program_on_the_page_assembles() -> None:
    [text] = re.findall(r"^```\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    program = assemble(text)
    assert set(program.labels) == {"start", "nothing"}
    assert [instruction_text(slot) for slot in program.instructions] == [
        "if r2 == 0 goto +2",
        "r0 = *(u8 *)(r1 + 0)",
        "exit",
        "r0 = -1",
        "exit",
    ]


@pytest.mark.parametrize("text", re.findall(r"`((?:call|r1 =) [^`]*)`", PAGE.partition("## Every instruction")[0]))
def test_the_names_on_the_page_are_read(text: str) -> None:
    program = assemble(f"{text}\nlabel: exit", helpers={"bpf_map_lookup_elem": 1}.get)
    assert decode(encode(program.instructions), strict=True) == program.instructions
