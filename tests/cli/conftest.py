"""What the tests of the command line share."""

from __future__ import annotations

import pytest

from tests.cli.command_line import Skep, make_skep


@pytest.fixture
def skep(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Skep:
    """Runs ``skep`` with arguments in this process."""
    return make_skep(monkeypatch, capsys)
