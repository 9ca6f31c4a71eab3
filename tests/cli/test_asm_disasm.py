"""``skep asm`` and ``skep disasm``, as people and scripts use them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from skep import objects
from skep.cli.asm import command as asm
from skep.cli.disasm import command as disasm
from skep.errors import SkepError
from skep.isa import assemble, disassemble
from skep.stdlib.prototypes import NUMBERS

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.bpf.o"))

TEXT = "start:\n    r0 = *(u32 *)(r1 + 4)\n    call bpf_map_lookup_elem\n    goto start\n    exit\n"
CODE = "6110040000000000\n8500000001000000\n0500fdff00000000\n9500000000000000\n"


def run(command: click.Command, *arguments: str | Path, stdin: str | bytes | None = None) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments], input=stdin, catch_exceptions=False)


def test_text_becomes_bytes_and_bytes_become_text(tmp_path: Path) -> None:
    source, code = tmp_path / "program.s", tmp_path / "program.bin"
    source.write_text(TEXT)
    assert run(asm, source, "-o", code).output == ""
    assert code.read_bytes() == bytes.fromhex(CODE)
    shown = run(disasm, "--raw", code)
    assert shown.exit_code == 0
    assert shown.output == ("L0:\n0:  r0 = *(u32 *)(r1 + 4)\n1:  call bpf_map_lookup_elem\n2:  goto L0\n3:  exit\n")
    assert run(asm, "-", "--hex", stdin=shown.output).output == CODE
    other = run(disasm, "--raw", code, "--dialect", "mnemonic").output
    assert "0:  ldxw %r0, [%r1+4]\n" in other
    assert run(asm, "-", "--hex", "--dialect", "mnemonic", stdin=other).output == CODE


def test_both_byte_orders(tmp_path: Path) -> None:
    code = tmp_path / "program.bin"
    assert run(asm, "-", "-o", code, "--byte-order", "big", stdin=TEXT).exit_code == 0
    assert code.read_bytes()[:8] == bytes.fromhex("6101000400000000")
    assert "r0 = *(u32 *)(r1 + 4)" in run(disasm, "--raw", code, "--byte-order", "big").output


def test_json_of_both() -> None:
    rows = [json.loads(line) for line in run(asm, "-", "--json", stdin="r1 = map[m] ll\n\nexit").output.splitlines()]
    assert rows == [
        {
            "kind": "instruction",
            "slot": 0,
            "line": 1,
            "bytes": "18110000000000000000000000000000",
            "symbol": {"kind": "map", "name": "m", "offset": 0},
        },
        {"kind": "instruction", "slot": 2, "line": 3, "bytes": "9500000000000000"},
    ]
    [row] = [
        json.loads(line)
        for line in run(disasm, "--raw", "-", "--json", stdin=bytes.fromhex("95" + "00" * 7)).output.splitlines()
    ]
    assert row.pop("kind") == "instruction"
    assert row == {"slot": 0, "text": "exit", "opcode": 0x95, "dst": 0, "src": 0, "offset": 0, "imm": 0}


def test_names_that_bytecode_cannot_hold_are_noted() -> None:
    result = run(asm, "-", "--hex", stdin="r1 = map[counts]\nr2 = map[counts]\ncall kfunc[f]\nexit")
    assert result.stderr == (
        "skep: <standard input>: bytecode cannot hold names; left unresolved: map counts, kfunc f\n"
    )


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
@pytest.mark.parametrize("dialect", ["kernel", "mnemonic"])
def test_objects_are_printed_so_that_they_assemble_to_the_same(path: Path, dialect: str) -> None:
    spec = objects.open(path)
    for name, program in spec.programs.items():
        result = run(disasm, f"{path}:{name}", "--source", "--dialect", dialect)
        assert result.exit_code == 0
        assert result.output.startswith(f"# {name}: ")
        again = assemble(result.output, helpers=lambda helper: NUMBERS.get(helper.removeprefix("bpf_")))
        names = {slot: (symbol.kind, symbol.name, symbol.offset) for slot, symbol in again.symbols.items()}
        assert len(again.instructions) == len(program.instructions)
        for slot, reference in program.references.items():
            if isinstance(reference, objects.MapReference):
                kind = "map" if reference.offset is None else "map value"
                assert names[slot] == (kind, reference.map, reference.offset or 0)
        # A second printing of what was read says the same.
        texts = [re.sub(r"^ *\d+:  |  # .*$", "", line) for line in result.output.splitlines()]
        functions = {function.start: function.name for function in program.functions}
        for line in disassemble(
            again.instructions,
            dialect="kernel" if dialect == "kernel" else "mnemonic",
            functions=functions,
            symbols=again.symbols,
            helpers=lambda number: next((f"bpf_{name}" for name, n in NUMBERS.items() if n == number), None),
        ):
            assert line.text in [text.rstrip() for text in texts]


def test_source_lines_stand_before_their_instructions() -> None:
    path = next(path for path in EXAMPLES if path.stem == "xdp_counter.bpf")
    with_lines = run(disasm, f"{path}:xdp_count", "--source").output
    without = run(disasm, f"{path}:xdp_count").output
    source = [line for line in with_lines.splitlines() if line.lstrip().startswith(";")]
    assert any("xdp_counter.bpf.c:" in line and "ctx->data_end" in line for line in source)
    assert [line for line in with_lines.splitlines() if line not in source] == without.splitlines()


def test_json_of_an_object_carries_program_and_source() -> None:
    path = next(path for path in EXAMPLES if path.stem == "xdp_counter.bpf")
    rows = [json.loads(line) for line in run(disasm, f"{path}:xdp_count", "--json").output.splitlines()]
    assert {row["program"] for row in rows} == {"xdp_count"}
    assert rows[0]["source"]["file"].endswith("xdp_counter.bpf.c")
    assert any(row["text"].startswith("r1 = map[") for row in rows)


@pytest.mark.parametrize(
    ("command", "arguments", "stdin", "message"),
    [
        (asm, ["-"], "foo r1", "<standard input>: line 1, column 1: no instruction is called foo"),
        (asm, ["-"], b"\xff\xfe", "<standard input>: offset 0x0: is not text; assembly is UTF-8"),
        (asm, ["no-such-file"], None, "no-such-file: cannot be read: No such file or directory"),
        (asm, ["-", "-o", "/no/such/place"], "exit", "/no/such/place: cannot be written: No such file or directory"),
        (asm, ["-", "--dialect", "kernel"], "mov %r0, 1", "no instruction is called mov"),
        (disasm, ["--raw", "-"], b"abc", "<standard input>: offset 0x0: 3 bytes are not a whole number"),
        (disasm, ["--raw", "no-such-file"], None, "no-such-file: cannot be read: No such file or directory"),
        (disasm, ["--raw", "-"], b"\x7fELF1234", "<standard input>: is an object file"),
        (disasm, ["--raw", "--source", "-"], b"", "bytecode alone has no source lines"),
        (disasm, ["x.o", "--byte-order", "big"], None, "--byte-order goes with --raw"),
        (disasm, ["no-such-file.o"], None, "no-such-file.o: the file cannot be read"),
    ],
)
def test_bad_requests_end_in_one_error(
    command: click.Command, arguments: list[str], stdin: str | bytes | None, message: str
) -> None:
    with pytest.raises(SkepError, match=re.escape(message)):
        run(command, *arguments, stdin=stdin)


def test_an_error_writes_no_file(tmp_path: Path) -> None:
    output = tmp_path / "out.bin"
    with pytest.raises(SkepError):
        run(asm, "-", "-o", output, stdin="exit\nfoo")
    assert not output.exists()
