"""The packages import only from those above them in the map of the tree (docs/architecture.md)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "skep"
LAYERS = re.findall(r"^\| `skep\.(\w+)` \|", (ROOT / "docs" / "architecture.md").read_text(), re.MULTILINE)


def package_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Line and package of each import that happens when code runs: those for type checkers alone do not."""
    tree = ast.parse(path.read_text())
    unseen = {
        child
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node not in unseen and (node.module or "").startswith("skep."):
            yield node.lineno, str(node.module).split(".")[1]


def test_every_package_has_its_place_on_the_map() -> None:
    found = {package_of(path) for path in SOURCE.rglob("*.py")} - {"__init__", "__main__"}
    assert found == set(LAYERS)


def test_no_package_imports_from_below() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {package}"
        for path in SOURCE.rglob("*.py")
        if package_of(path) in LAYERS
        for line, package in imported(path)
        if LAYERS.index(package) > LAYERS.index(package_of(path))
    ]
    assert wrong == []


def test_every_module_of_the_verifier_is_on_the_map() -> None:
    verifier = SOURCE / "verifier"
    text = (ROOT / "docs" / "architecture.md").read_text().split("### The verifier")[1]
    rows = {
        row[1]: set(re.findall(r"`([\w*]+)`", row[2]))
        for row in re.finditer(r"^\|[^|]+\| `(\w+)` \|(.*)\|$", text, re.M)
    }
    assert set(rows) == {path.parent.name for path in verifier.glob("*/__init__.py")}
    for folder, named in rows.items():
        modules = {
            path.stem
            for path in (verifier / folder).iterdir()
            if path.suffix == ".py" or (path / "__init__.py").exists()
        }
        missing = {one for one in modules - {"__init__"} if not any(fnmatchcase(one, name) for name in named)}
        assert not missing, f"{folder}: {missing}"
