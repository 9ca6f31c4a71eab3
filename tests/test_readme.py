"""The README's examples work as they stand."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_first_program_is_the_example() -> None:
    (program,) = blocks("c")
    assert (ROOT / "examples" / "shorten.bpf.c").read_text().endswith(program)


def test_the_python_example_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT / "examples")
    (example,) = blocks("python")
    exec(compile(example, "README.md", "exec"), {})


def test_every_command_it_names_exists() -> None:
    from skep.cli import COMMANDS

    named = set(re.findall(r"`skep (\w+)`", README))
    assert named
    assert named <= set(COMMANDS)


def test_every_link_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_every_dependency_has_a_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    reasons = (ROOT / "docs" / "dependencies.md").read_text()
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    for requirement in (one for group in groups for one in group):
        name = re.split(r"[<>=\[]", requirement)[0]
        assert f"`{name}`" in reasons, requirement
