"""``skep btf``: types as C and as JSON, and the few that a program needs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from skep.btf import Btf, BtfBuilder
from skep.cli.btf import command
from skep.errors import RequestError, SkepError
from skep.objects.fitting import read_types

OBJECTS = Path(__file__).parents[1] / "btf" / "relocation"
PROGRAM, KERNEL = str(OBJECTS / "program.bpf.o"), str(OBJECTS / "kernel.bpf.o")


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(command, arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_an_objects_types_are_printed_as_c() -> None:
    output = run("dump", KERNEL).output
    assert "struct outer {" in output
    assert "HUGE = " in output


def test_one_type_is_printed_with_what_it_needs() -> None:
    output = run("dump", KERNEL, "--type", "struct outer").output
    assert "struct inner {" in output
    assert "struct differs" not in output


def test_types_are_printed_as_json_too() -> None:
    rows = [json.loads(line) for line in run("dump", KERNEL, "--json").output.splitlines()]
    assert [row["id"] for row in rows] == list(range(1, len(rows) + 1))
    (outer,) = [row for row in rows if row["name"] == "outer" and row["kind"] == "struct"]
    assert outer["size"] == 384
    assert outer["members"][0]["name"] == "before"


def test_what_a_program_needs_is_written(tmp_path: Path) -> None:
    place = tmp_path / "small.btf"
    output = run("minimise", PROGRAM, "--btf", KERNEL, "-o", str(place)).output
    small = Btf.parse(place.read_bytes())
    assert output.startswith(f"{place}: {len(small) - 1} of ")
    assert small.find("outer")
    assert not small.find("before")
    assert [path.name for path in tmp_path.iterdir()] == ["small.btf"]
    facts = json.loads(run("minimise", PROGRAM, "--btf", str(place), "-o", str(place), "--json").output)
    assert facts["types"] <= facts["of_types"] == len(small) - 1


def test_of_a_module_its_own_types_are_printed(tmp_path: Path) -> None:
    base = read_types(KERNEL)
    builder = BtfBuilder(base=base)
    builder.struct("device", [("outer", builder.pointer(base.find("outer") or 0))])
    place = tmp_path / "module.btf"
    place.write_bytes(builder.build().encode())
    output = run("dump", str(place), "--base", KERNEL).output
    assert "struct device {\n\tstruct outer *outer;\n};" in output
    assert "struct differs" not in output
    rows = [json.loads(line) for line in run("dump", str(place), "--base", KERNEL, "--json").output.splitlines()]
    assert [row["kind"] for row in rows] == ["ptr", "struct"]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("dump", "nowhere"), "nowhere: the file cannot be read: No such file"),
        (("dump", KERNEL, "--type", "nothing"), "there is no type 'nothing'"),
        (("dump", __file__), "not with the magic number"),
        (
            ("minimise", PROGRAM, "--btf", KERNEL, "-o", "/nowhere/at/all"),
            "/nowhere/at/all: the file cannot be written",
        ),
    ],
)
def test_what_cannot_be_done_is_said(arguments: tuple[str, ...], problem: str) -> None:
    with pytest.raises((RequestError, SkepError), match=problem):
        run(*arguments)
