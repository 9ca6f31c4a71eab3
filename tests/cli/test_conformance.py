"""``skep conformance`` and the plugin for the bpf_conformance project's own runner."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from skep.cli.conformance import command
from skep.cli.conformance_plugin import main
from skep.errors import RequestError

GOOD = "-- asm\nldxb %r0, [%r1]\nexit\n-- mem\n07\n-- result\n7\n"
BAD = "-- asm\nmov %r0, 1\nexit\n-- result\n2\n"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(
        command, [str(argument) for argument in arguments], standalone_mode=False, catch_exceptions=False
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "bad.data").write_text(BAD)
    (tmp_path / "good.data").write_text(GOOD)
    return tmp_path


def test_failures_are_listed_and_counted(folder: Path) -> None:
    result = run(folder, "--engine", "interpreter")
    assert result.return_value == 1
    assert result.output.splitlines() == [
        f"interpreter: {folder / 'bad.data'}: r0 is 0x1, expected is 0x2",
        "interpreter: 1 of 2 pass",
    ]
    assert run(folder / "good.data", "--engine", "interpreter").return_value == 0


def test_json(folder: Path) -> None:
    rows = [json.loads(line) for line in run(folder, "--engine", "interpreter", "--json").output.splitlines()]
    assert rows[1] == {
        "kind": "conformance",
        "file": str(folder / "good.data"),
        "engine": "interpreter",
        "passed": True,
        "result": "0x7",
        "expected": "0x7",
        "message": "",
    }
    assert (rows[0]["passed"], rows[0]["message"]) == (False, "r0 is 0x1, expected is 0x2")


def test_a_path_that_is_not_there() -> None:
    with pytest.raises(RequestError, match="no such file or folder"):
        run("nowhere", "--engine", "interpreter")


class Input:
    """Standard input that holds some text."""

    def __init__(self, text: str) -> None:
        self.buffer = io.BytesIO(text.encode())


def plugin(monkeypatch: pytest.MonkeyPatch, program: str, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["skep-conformance-plugin", *arguments])
    monkeypatch.setattr(sys, "stdin", Input(program))
    main()


#: ldxb %r0, [%r1+1]; exit
LOAD = "71 10 01 00 00 00 00 00  95 00 00 00 00 00 00 00\n"


@pytest.mark.parametrize(
    "options", [(), ("",), ("--elf --cpu_version v4 --debug",), ("--engine=interpreter",), ("--interpret",)]
)
def test_plugin(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], options: tuple[str, ...]
) -> None:
    plugin(monkeypatch, LOAD, "01 ab ", *options)
    assert capsys.readouterr().out == "ab\n"


def test_plugin_without_memory(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ((), ("",), ("--interpret",)):
        plugin(monkeypatch, "b700000005000000 9500000000000000", *arguments)
        assert capsys.readouterr().out == "5\n"


@pytest.mark.parametrize(
    ("program", "memory", "problem"),
    [
        (LOAD, "0", "memory in the first argument is not made of pairs of hex digits"),
        ("zz", "", "program on standard input is not made of pairs of hex digits"),
        ("", "", "there is no program on standard input"),
        ("9500", "", "2 bytes are not a whole number"),
        (LOAD, "01", "reads 1 byte at"),
        ("9500000000000000", "", "never written"),
    ],
)
def test_plugin_failures_are_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], program: str, memory: str, problem: str
) -> None:
    with pytest.raises(SystemExit, match="1"):
        plugin(monkeypatch, program, memory)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    assert problem in captured.err
