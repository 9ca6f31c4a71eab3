"""Maps in the older style: ``struct bpf_map_def`` in a section called ``maps``, found through the symbol table.

The struct is five 32-bit numbers; others put more behind them. An id and a pinning mark follow in iproute2's
``struct bpf_elf_map`` (nine numbers) and Aya's ``bpf_map_def`` (seven). Types of key and value come from BTF if the
source used BPF_ANNOTATE_KV_PAIR.
"""

from __future__ import annotations

import struct

from skep.btf import Btf, Kind
from skep.errors import ObjectError
from skep.objects.elf import ElfFile, Section, Symbol
from skep.objects.mapdefs import MapDefinitions, map_type_of
from skep.objects.spec import MapSpec

SECTION = "maps"
_FIELDS = 5
#: How many numbers the structs have in which an id and a pinning mark follow the five.
_WITH_PINNING = (7, 9)
#: Numbers in a struct of any kind; more is damage.
_MAX_FIELDS = 64


def read_legacy_maps(elf: ElfFile, btf: Btf | None, found: MapDefinitions) -> None:
    """Add the maps that the section ``maps`` defines."""
    section = elf.by_name.get(SECTION)
    if section is None or section.is_code or section.data is None:
        return
    found.sections.add(section.index)
    symbols = sorted(
        (symbol for symbol in elf.symbols if symbol.section == section.index and symbol.kind in ("object", "none")),
        key=lambda symbol: symbol.value,
    )
    ends = [*(symbol.value for symbol in symbols[1:]), section.size]
    for symbol, end in zip(symbols, ends, strict=False):
        found.add(_definition(elf, btf, section, symbol, symbol.size or end - symbol.value), section, symbol.value)


def _definition(elf: ElfFile, btf: Btf | None, section: Section, symbol: Symbol, size: int) -> MapSpec:
    name, data = symbol.name, section.data or b""
    if not 4 * _FIELDS <= size <= 4 * _MAX_FIELDS or size % 4 or symbol.value + size > len(data):
        raise ObjectError(
            f"the definition of the map {name!r} has {size} bytes; struct bpf_map_def has {4 * _FIELDS} or more",
            section=section.name,
            offset=symbol.value,
        )
    prefix = "<" if elf.byte_order == "little" else ">"
    fields = struct.unpack_from(f"{prefix}{size // 4}I", data, symbol.value)
    rest, pinning = fields[_FIELDS:], 0
    if len(fields) in _WITH_PINNING:
        pinning, rest = int(bool(fields[6])), fields[7:]
    if any(rest):
        raise ObjectError(
            f"the definition of the map {name!r} says more than type, sizes, entries and flags; define it in .maps",
            section=section.name,
            offset=symbol.value,
        )
    key_type, value_type = _annotation(btf, name)
    return MapSpec(
        name=name,
        type=map_type_of(fields[0], name, section.name),
        key_size=fields[1],
        value_size=fields[2],
        max_entries=fields[3],
        flags=fields[4],
        key_type_id=key_type,
        value_type_id=value_type,
        pinning=pinning,
        section=section.name,
        btf=btf,
    )


def _annotation(btf: Btf | None, name: str) -> tuple[int, int]:
    """The types that BPF_ANNOTATE_KV_PAIR(name, key, value) states, 0 each without it."""
    type_id = btf.find(f"____btf_map_{name}", Kind.STRUCT) if btf else None
    if btf is None or type_id is None:
        return 0, 0
    key, value = btf.member(type_id, "key"), btf.member(type_id, "value")
    return (key.type, value.type) if key and value else (0, 0)
