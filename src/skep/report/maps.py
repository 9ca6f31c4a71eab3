"""Maps as people read them: each entry decoded through its BTF types, as a table or as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from skep.objects import MapType

if TYPE_CHECKING:
    from rich.table import Table

    from skep.maps import Map

#: Maps whose entries are all there from the start.
_ARRAYS = frozenset({MapType.ARRAY, MapType.PERCPU_ARRAY})
#: Entries that a table shows of one map; JSON has them all.
SHOWN = 64


def as_json(one: Map) -> dict[str, object]:
    """One map as a JSON object; bytes that have no type are hexadecimal strings."""
    return {
        "kind": "map",
        "name": one.name,
        "type": one.spec.type.label,
        "per_cpu": one.is_per_cpu,
        "entries": [{"key": plain(key), "value": plain(value)} for key, value in one.decoded()],
    }


def as_table(one: Map) -> Table:
    """One map as a table: a line an entry; an array's entries that are all zero are left out."""
    from rich.table import Table
    from rich.text import Text

    total = shown = zero = 0
    table = Table(title_justify="left", title_style="bold", header_style="dim", box=None, pad_edge=False)
    table.add_column("key", no_wrap=True)
    table.add_column("value per CPU" if one.is_per_cpu else "value")
    for key, value in one.items():
        total += 1
        if one.spec.max_entries > 1 and one.spec.type in _ARRAYS and not any(value):
            zero += 1
        elif shown < SHOWN:
            shown += 1
            table.add_row(Text(text(one.decode_key(key))), Text(_value_text(one, value)))
    spec = one.spec
    table.title = f"{one.name}: {spec.type.label}, {_entries(total)} of {spec.max_entries}"
    hidden = total - zero - shown
    notes = [f"{_entries(hidden)} more"] if hidden else []
    notes += [f"{_entries(zero)} all zero"] if zero else []
    if notes:
        table.caption, table.caption_justify = "; ".join(notes), "left"
    return table


def _value_text(one: Map, value: bytes) -> str:
    decoded = one.decode_value(value)
    if not one.is_per_cpu or not isinstance(decoded, list):
        return text(decoded)
    if all(isinstance(part, int) for part in decoded):
        return f"{text(decoded)}, in all {sum(decoded)}"
    return "\n".join(f"CPU {number}: {text(part)}" for number, part in enumerate(decoded))


def _entries(count: int) -> str:
    return "1 entry" if count == 1 else f"{count} entries"


def text(value: object) -> str:
    """A decoded value on one line, structures as ``{name=value, …}``."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}={text(part)}" for name, part in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(text(part) for part in value) + "]"
    if isinstance(value, bytes):
        return value.hex(" ")
    return str(value)


def plain(value: object) -> object:
    """A decoded value as JSON can hold it: bytes as hexadecimal, everything else as it is."""
    if isinstance(value, dict):
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, int | str | float) or value is None:
        return value
    return str(value)


def shown_maps(maps: Iterator[Map]) -> list[Map]:
    """The maps worth showing: all but those that hold programs."""
    return [one for one in maps if not one.spec.type.label.startswith("prog_")]
