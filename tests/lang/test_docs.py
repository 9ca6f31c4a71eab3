"""The examples of docs/lang.md run, and its message is the one that appears."""

from __future__ import annotations

import linecache
import re
from pathlib import Path
from typing import Any

import pytest

import skep.lang
from skep.errors import LanguageError

_PAGE = (Path(__file__).parents[2] / "docs" / "lang.md").read_text()
_BLOCKS = re.findall(r"```(\w+)(?: (\w+))?\n(.*?)```", _PAGE, flags=re.DOTALL)


def _examples() -> list[tuple[str, bool]]:
    found: list[tuple[str, bool]] = []
    for language, kind, text in _BLOCKS:
        if language == "python" and kind == "continued":
            found[-1] = (found[-1][0] + text, False)
        elif language == "python":
            found.append((text, kind == "refused"))
    return found


def _run(text: str) -> None:
    file = "example.py"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    space: dict[str, Any] = {"__name__": "example"}
    exec(compile(text, file, "exec", dont_inherit=True), space)


@pytest.mark.parametrize("text", [text for text, refused in _examples() if not refused])
def test_an_example_runs(text: str) -> None:
    _run(text)


def test_the_refused_example_says_what_the_page_says() -> None:
    (text,) = [text for text, refused in _examples() if refused]
    (message,) = [text for language, _, text in _BLOCKS if language == "text"]
    with pytest.raises(LanguageError) as caught:
        _run(text)
    assert str(caught.value) == message.rstrip("\n")


def test_every_operation_is_on_the_page() -> None:
    from skep.lang import operations

    others = {"Order", "Array", "Ptr"}
    names = [name for name in vars(operations) if name in skep.lang.__all__ and name not in others]
    missing = [name for name in names if f"`{name}`" not in _PAGE and f"`{name}(" not in _PAGE]
    shortened = [name for name in missing if not re.search(rf"`_{name.rsplit('_', 1)[-1]}`", _PAGE)]
    assert shortened == []
