"""Runs the command line in this process: what it prints, and the status that it ends with."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from skep.cli import main

EXAMPLES = Path(__file__).parents[2] / "examples"
TRAFFIC = EXAMPLES / "traffic.pcap"


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: object
    output: str
    errors: str

    @property
    def complaint(self) -> str:
        """The one line that a refused request ends with."""
        assert self.status == 2
        assert self.output == ""
        (line,) = self.errors.splitlines()
        return line


Skep = Callable[..., Ended]


def make_skep(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Skep:
    """A function that runs ``skep`` with arguments."""

    def run(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["skep", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return Ended(ended.value.code, printed.out, printed.err)

    return run
