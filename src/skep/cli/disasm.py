"""``skep disasm``: programs of an object file, or bytecode alone, as assembly that ``skep asm`` reads back."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from skep.cli.target import choose_program, split_target
from skep.errors import EncodingError, RequestError

if TYPE_CHECKING:
    from skep.isa import Dialect, Instructions, Line, Symbol
    from skep.objects import ProgramSpec, SourceLine, Spec


@click.command()
@click.argument("target", metavar="FILE[:PROGRAM]")
@click.option("--source", is_flag=True, help="Put the C lines that instructions came from between them.")
@click.option(
    "--dialect",
    type=click.Choice(["kernel", "mnemonic"]),
    default="kernel",
    show_default=True,
    help="r0 = *(u32 *)(r1 + 4), or ldxw %r0, [%r1+4].",
)
@click.option("--raw", is_flag=True, help="FILE is bytecode alone (- for standard input), not an object file.")
@click.option(
    "--byte-order",
    type=click.Choice(["little", "big"]),
    help="Of the bytecode, with --raw; an object file says its own.  [default: little]",
)
@click.option("--native", is_flag=True, help="Print the machine code that the JIT makes for this processor instead.")
@click.option("--llvm", is_flag=True, help="Print the optimised LLVM IR that the machine code is made from instead.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line for each instruction.")
def command(
    target: str,
    source: bool,
    dialect: str,
    raw: bool,
    byte_order: str | None,
    native: bool,
    llvm: bool,
    as_json: bool,
) -> None:
    """Print programs as assembly, with C lines if asked.

    Without PROGRAM, all programs of the object. The number before each instruction is its slot, in which jumps, the
    kernel's log and line information count.
    """
    if native or llvm:
        if source or raw or byte_order or as_json or (native and llvm):
            raise RequestError(
                "--native and --llvm stand alone: the JIT's text of an object's programs, nothing else"
            )
        _print_native(target, llvm)
        return
    chosen: Dialect = "kernel" if dialect == "kernel" else "mnemonic"
    if raw:
        if source:
            raise RequestError("bytecode alone has no source lines; leave out --raw or --source", file=target)
        instructions = _bytecode(target, byte_order or "little")
        _print(_lines(instructions, chosen, {}, {}, {}), instructions, None, {}, as_json)
        return
    if byte_order is not None:
        raise RequestError("--byte-order goes with --raw; an object file says its own", file=target)
    from skep import objects
    from skep.objects.symbols import symbols_of

    path, name = split_target(target)
    spec = objects.open(path)
    programs = [choose_program(spec, name)] if name is not None or not spec.programs else spec.programs.values()
    for number, program in enumerate(programs):
        if not as_json:
            click.echo(("\n" if number else "") + click.style(_heading(program), dim=True))
        lines = _lines(
            program.instructions,
            chosen,
            {function.start: function.name for function in program.functions},
            symbols_of(program.references),
            _variables(spec, program),
        )
        _print(lines, program.instructions, program, program.lines if source else {}, as_json)


def _print_native(target: str, llvm: bool) -> None:
    """The JIT's own text of one program, or of all."""
    from skep import objects
    from skep.machine import Machine

    path, name = split_target(target)
    spec = objects.open(path)
    programs = [choose_program(spec, name)] if name is not None or not spec.programs else spec.programs.values()
    with Machine() as machine:
        for program in programs:
            click.echo(f"{';' if llvm else '#'} {_heading(program).lstrip('# ')}")
            click.echo(machine.native_text(program, ir=llvm), nl=False)


def _bytecode(file: str, byte_order: str) -> Instructions:
    from skep.isa import decode

    name = "<standard input>" if file == "-" else file
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise RequestError(f"cannot be read: {reason}", file=name) from None
    if data.startswith(b"\x7fELF"):
        raise RequestError("is an object file, not bytecode alone; leave out --raw", file=name)
    try:
        return decode(data, byte_order)
    except EncodingError as error:
        error.file = name
        raise


def _heading(program: ProgramSpec) -> str:
    kind = program.type.label if program.type is not None else "of unknown type"
    return f"# {program.name}: {kind}, section {program.section}, {len(program.instructions)} slots"


def _variables(spec: Spec, program: ProgramSpec) -> dict[int, str]:
    """Remarks that name the global variable whose address an instruction loads."""
    from skep.objects import MapReference

    names = {(one.map, one.offset): one.name for one in spec.variables.values()}
    return {
        slot: names[reference.map, reference.offset]
        for slot, reference in program.references.items()
        if isinstance(reference, MapReference)
        and reference.offset is not None
        and (reference.map, reference.offset) in names
    }


def _lines(
    instructions: Instructions,
    dialect: Dialect,
    functions: Mapping[int, str],
    symbols: Mapping[int, Symbol],
    remarks: Mapping[int, str],
) -> list[Line]:
    from skep.isa import disassemble
    from skep.stdlib.prototypes import NAMES

    def helper(number: int) -> str | None:
        return f"bpf_{NAMES[number]}" if number in NAMES else None

    return disassemble(
        instructions,
        dialect=dialect,
        functions=functions,
        symbols=symbols,
        helpers=helper,
        remark=lambda slot, instruction: remarks.get(slot),
    )


def _print(
    lines: list[Line],
    instructions: Instructions,
    program: ProgramSpec | None,
    source: Mapping[int, SourceLine],
    as_json: bool,
) -> None:
    rows = _json_rows(lines, instructions, program) if as_json else _text_rows(lines, source)
    for row in rows:
        click.echo(row)


def _text_rows(lines: list[Line], source: Mapping[int, SourceLine]) -> Iterator[str]:
    digits = len(str(lines[-1].slot)) if lines else 1
    width = min(max((len(line.text) for line in lines if line.remark), default=0), 48)
    shown = ""
    for line in lines:
        for label in line.labels:
            shown = ""
            yield click.style(f"{label}:", bold=True)
        if (origin := source.get(line.slot)) is not None:
            place = f"{Path(origin.file).name}:{origin.line}: {origin.text.strip()}".replace("\n", " ")
            if place != shown:
                yield click.style(f"{'':{digits}}  ; {place}", fg="green")
            shown = place
        text = f"{line.slot:>{digits}}:  "
        if line.remark:
            yield f"{text}{line.text:<{width}}  " + click.style(f"# {line.remark}", dim=True)
        else:
            yield text + line.text


def _json_rows(lines: list[Line], instructions: Instructions, program: ProgramSpec | None) -> Iterator[str]:
    for line in lines:
        instruction = instructions[line.slot]
        row: dict[str, object] = {
            "kind": "instruction",
            "slot": line.slot,
            "text": line.text,
            "opcode": instruction.opcode,
            "dst": instruction.dst,
            "src": instruction.src,
            "offset": instruction.offset,
            "imm": instruction.imm,
        }
        if program is not None:
            row["program"] = program.name
        if line.labels:
            row["labels"] = list(line.labels)
        if line.remark:
            row["remark"] = line.remark
        if program is not None and (origin := program.line_of(line.slot)) is not None:
            row["source"] = {"file": origin.file, "line": origin.line, "column": origin.column, "text": origin.text}
        yield json.dumps(row)
