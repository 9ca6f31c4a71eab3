"""Write the table of instructions in assembly.md from ``skep.isa.TABLE``.

    python docs/instruction_table.py

A test fails when the page does not say what the table says.
"""

from __future__ import annotations

import sys
from pathlib import Path

from skep.isa import TABLE, Row
from skep.isa.templates import readable

PAGE = Path(__file__).with_name("assembly.md")
START = "<!-- table: written by docs/instruction_table.py -->\n"
END = "<!-- end of table -->\n"


def _code(text: str) -> str:
    return f"`{text}`".replace("|", "\\|")


def _fixed(row: Row) -> str:
    fields = [("src", row.src), ("offset", row.offset), ("imm", row.imm)]
    return ", ".join(f"{name} {value:#x}" if name == "imm" else f"{name} {value}" for name, value in fields if value)


def _forms(templates: tuple[str, ...]) -> str:
    return "<br>".join(_code(readable(template)) for template in templates)


def table() -> str:
    """The table as Markdown."""
    lines = ["| kernel | mnemonic | opcode | fixed | LLVM | Linux |", "|---|---|---|---|---|---|"]
    for row in TABLE:
        mcpu = "–" if row.mcpu is None else f"v{row.mcpu}"
        cells = (_forms(row.kernel), _forms(row.mnemonic), f"{row.opcode:#04x}", _fixed(row), mcpu, row.linux or "–")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def page(text: str) -> str:
    """The page with its table replaced."""
    before, rest = text.split(START)
    _, after = rest.split(END)
    return f"{before}{START}{table()}{END}{after}"


def main() -> int:
    """Write the page."""
    PAGE.write_text(page(PAGE.read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
