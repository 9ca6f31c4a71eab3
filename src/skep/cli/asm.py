"""``skep asm``: assembly text to bytecode."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from skep.errors import RequestError

if TYPE_CHECKING:
    from skep.isa import Assembly, Dialect


@click.command()
@click.argument("file", metavar="FILE")
@click.option("-o", "--output", metavar="OUT", help="Write to this file instead of standard output.")
@click.option(
    "--dialect",
    type=click.Choice(["kernel", "mnemonic"]),
    help="Read only this dialect. Otherwise each line may be in either.",
)
@click.option(
    "--byte-order", type=click.Choice(["little", "big"]), default="little", show_default=True, help="Of the bytecode."
)
@click.option(
    "--hex", "as_hex", is_flag=True, help="Write 16 hexadecimal digits a line, as on a terminal, not bytes."
)
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object a line for each instruction.")
def command(file: str, output: str | None, dialect: str | None, byte_order: str, as_hex: bool, as_json: bool) -> None:
    """Assemble BPF text into bytecode.

    FILE is assembly in the kernel's dialect (r0 = *(u32 *)(r1 + 4)) or the mnemonic one (ldxw %r0, [%r1+4]), or - for
    standard input. What the text only names (map[counts]) stays zero in bytecode; a note says so.
    """
    from skep.isa import assemble, encode
    from skep.stdlib.prototypes import NUMBERS

    name = "<standard input>" if file == "-" else file
    chosen: Dialect | None = None if dialect is None else "kernel" if dialect == "kernel" else "mnemonic"
    program = assemble(
        _text_of(file, name),
        dialect=chosen,
        helpers=lambda helper: NUMBERS.get(helper.removeprefix("bpf_")),
        file=name,
    )
    code = encode(program.instructions, byte_order)
    if as_json:
        result = _as_json(program, byte_order).encode()
    elif as_hex or (output is None and sys.stdout.isatty()):
        result = "".join(f"{code[start : start + 8].hex()}\n" for start in range(0, len(code), 8)).encode()
    else:
        result = code
    if output is None or output == "-":
        sys.stdout.buffer.write(result)
    else:
        try:
            Path(output).write_bytes(result)
        except OSError as error:
            raise RequestError(f"cannot be written: {error.strerror}", file=output) from None
    if program.symbols and not as_json:
        named = ", ".join(dict.fromkeys(f"{symbol.kind} {symbol.name}" for symbol in program.symbols.values()))
        click.echo(f"skep: {name}: bytecode cannot hold names; left unresolved: {named}", err=True)


def _text_of(file: str, name: str) -> str:
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise RequestError(f"cannot be read: {reason}", file=name) from None
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise RequestError("is not text; assembly is UTF-8", file=name, offset=error.start) from None


def _as_json(program: Assembly, byte_order: str) -> str:
    from skep.isa import encode

    rows = []
    for slot, line in program.lines.items():
        width = 2 if program.instructions[slot].is_wide and slot + 1 not in program.lines else 1
        row: dict[str, object] = {
            "kind": "instruction",
            "slot": slot,
            "line": line,
            "bytes": encode(program.instructions[slot : slot + width], byte_order).hex(),
        }
        if (symbol := program.symbols.get(slot)) is not None:
            row["symbol"] = {"kind": symbol.kind, "name": symbol.name, "offset": symbol.offset}
        rows.append(json.dumps(row) + "\n")
    return "".join(rows)
