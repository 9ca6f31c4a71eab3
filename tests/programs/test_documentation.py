"""The page of program types says what the code says."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "docs" / "programs_page.py"


@pytest.mark.skipif(not SCRIPT.exists(), reason="needs the documentation, which an installed package has not")
def test_the_tables_of_the_page_are_those_of_the_code() -> None:
    written = runpy.run_path(str(SCRIPT))
    assert written["page"]() == written["PAGE"].read_text(encoding="utf-8"), "run python docs/programs_page.py"
