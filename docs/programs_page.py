"""Write the tables in programs.md from ``skep.programs`` and ``skep.stdlib``.

    python docs/programs_page.py

A test fails when the page does not say what the code says.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from skep.objects.kinds import ProgramType
from skep.programs import KINDS, ContextField, FieldKind, ProgramKind
from skep.stdlib import implemented, prototypes
from skep.stdlib.prototype import HelperPrototype

PAGE = Path(__file__).with_name("programs.md")
START = "<!-- tables: written by docs/programs_page.py -->\n"
END = "<!-- end of tables -->\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _input(kind: ProgramKind) -> str:
    return f"{kind.smallest_input} to {kind.largest_input:,} bytes"


def _returns(kind: ProgramKind) -> str:
    return ", ".join(f"{value} {name}" for value, name in kind.return_names.items()) or "any number"


def types_table() -> str:
    """One row a program type that runs here."""
    rows = (
        [
            kind.label,
            f"`struct {kind.context_name}`" if kind.context_name else "plain memory, its length in r2",
            f"`struct {kind.given_name}`" if kind.given_name else "",
            _input(kind),
            _returns(kind),
        ]
        for kind in KINDS.values()
    )
    return _table(["type", "r1", "context given and returned", "input", "return values"], rows)


def _sizes(sizes: Iterable[int]) -> str:
    return ", ".join(str(size) for size in sorted(sizes))


def _access(row: ContextField) -> str:
    text = f"r {_sizes(row.reads)}" if row.readable else ""
    return text + (f"; w {_sizes(row.writes)}" if row.writable else "")


def context_table(name: str) -> str:
    """One row a field of a context, one column for types that have the same fields."""
    groups: dict[tuple[ContextField, ...], list[str]] = {}
    for kind in KINDS.values():
        if kind.context_name == name:
            groups.setdefault(kind.fields, []).append(kind.label)
    rows = []
    for offset, field in sorted({(row.offset, row.name) for fields in groups for row in fields}):
        found = [next((row for row in fields if row.name == field), None) for fields in groups]
        known = next(row for row in found if row is not None)
        what = "" if known.kind is FieldKind.SCALAR else known.kind.value
        cells = [_access(row) if row is not None else "" for row in found]
        rows.append([str(offset), f"`{field}`", what, *cells])
    return _table(["offset", "field", "pointer to", *(" ".join(labels) for labels in groups.values())], rows)


def _flags(row: HelperPrototype) -> str:
    flags = {
        "GPL": row.gpl_only,
        "sleeps": row.might_sleep,
        "packet pointers are void after it": row.changes_packet,
        "acquires": row.acquires,
    }
    return ", ".join(flag for flag, holds in flags.items() if holds)


_SHORT = {
    ProgramType.SOCKET_FILTER: "filter",
    ProgramType.SCHED_CLS: "tc",
    ProgramType.XDP: "xdp",
    ProgramType.CGROUP_SKB: "cgroup_skb",
    ProgramType.LWT_IN: "lwt_in",
    ProgramType.LWT_OUT: "lwt_out",
    ProgramType.LWT_XMIT: "lwt_xmit",
    ProgramType.LWT_SEG6LOCAL: "seg6local",
    ProgramType.FLOW_DISSECTOR: "flow_dissector",
}


def _programs(number: int) -> str:
    allowed = [short for program, short in _SHORT.items() if prototypes.permitted(number, program)]
    return "all" if len(allowed) == len(_SHORT) else ", ".join(allowed)


def helpers_table() -> str:
    """One row a helper that has an implementation."""
    rows = []
    for number in sorted(implemented()):
        row = prototypes.prototype(number)
        rows.append([str(number), f"`{row.name}({', '.join(row.parameters)})`", _programs(number), _flags(row)])
    return _table(["number", "helper", "which of the types above may call it", "needs and does"], rows)


def missing() -> str:
    """The helpers that have no implementation, by name."""
    return ", ".join(f"`{prototypes.NAMES[number]}`" for number in sorted(set(prototypes.NAMES) - implemented()))


def tables() -> str:
    """All that stands between the markers."""
    return (
        f"## Types\n\n{types_table()}\n"
        f"## `struct xdp_md`\n\n`r` and `w` say in which sizes (bytes) a program may read and write a field; "
        f"every access is aligned to its size.\n\n{context_table('xdp_md')}\n"
        f"`egress_ifindex` only exists for programs attached to a devmap.\n\n"
        f"## `struct __sk_buff`\n\n{context_table('__sk_buff')}\n"
        f"## Helpers\n\nThese have an implementation:\n\n{helpers_table()}\n"
        f"The others are known by name, number and prototype; a program that calls one is told which: "
        f"{missing()}.\n\n"
    )


def page() -> str:
    """The page with its tables made anew."""
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(START)
    return before + START + "\n" + tables() + END + rest.split(END)[1]


if __name__ == "__main__":
    sys.stdout.write("programs.md is up to date\n" if page() == PAGE.read_text(encoding="utf-8") else "written\n")
    PAGE.write_text(page(), encoding="utf-8")
