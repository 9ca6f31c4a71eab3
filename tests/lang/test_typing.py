"""What mypy, with the plugin, sees in a function of the language: fields through pointers, and what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

_SOURCE = """\
from __future__ import annotations

from skep.lang import Array, Fn, Ptr, address_of, cast, function, length, null, struct, u8, u32, u64


@struct
class Node:
    value: u32
    next: Ptr[Node]
    tags: Array[u8] = length(4)


@function
def walk(node: Ptr[Node], step: Fn[[u64], u64]) -> u64:
    total = u64(0)
    while node:
        total += step(u64(node.value)) + node.tags[1]
        node.value = 3
        node = node.next
    return total


@function
def tags(node: Ptr[Node]) -> Ptr[u8]:
    if not node.next:
        return null(u8)
    return address_of(node.tags)


made = Node(value=3)
walk(address_of(made), cast(Ptr[u8], 3))  # error: argument
reveal_type(address_of(made).next.tags[0])  # note: Revealed type is
address_of(made).missing  # error: no field
Node(missing=3)  # error: Unexpected keyword
"""


def test_mypy_reads_the_language(tmp_path: Path) -> None:
    api = pytest.importorskip("mypy.api")
    file = tmp_path / "example.py"
    file.write_text(_SOURCE)
    config = Path(__file__).parents[2] / "pyproject.toml"
    out, err, _ = api.run(["--config-file", str(config), "--cache-dir", str(tmp_path / "cache"), str(file)])
    expected = [
        (number, words)
        for number, line in enumerate(_SOURCE.splitlines(), 1)
        for kind, words in [line.partition("  # ")[2].split(": ", 1) if "  # " in line else ("", "")]
        if kind
    ]
    found = [line for line in out.splitlines() if file.name in line]
    assert len(found) == len(expected), out + err
    for line, (number, words) in zip(found, expected, strict=True):
        assert f":{number}:" in line
        assert words.lower() in line.lower()
