"""The examples of docs/kernel.md run as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
TYPES = ROOT / "tests" / "btf" / "relocation" / "kernel.bpf.o"


@pytest.mark.usefixtures("nothing_left")
def test_the_examples_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    page = (ROOT / "docs" / "kernel.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 2
    names: dict[str, object] = {}
    for block in blocks:
        exec(block.replace("other.btf", str(TYPES)), names)
    assert names["result"].retval == 2  # type: ignore[attr-defined]
    assert capsys.readouterr().out
