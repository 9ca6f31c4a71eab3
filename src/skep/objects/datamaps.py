"""Data sections as maps: ``.data``, ``.rodata``, ``.bss`` and sections whose name starts like one of them.

Each is an array map of one element, its value the bytes of the section, its name that of the section. Read-only
data is read-only for the program and frozen for user space. Where BTF says that a variable can be seen from outside,
the map can be mapped into memory, as libbpf decides it (its commit 4fcac46c7e10). Globals in clang's address space 1
are what an arena starts with. Variables come from the symbol table, their types from BTF.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from skep.btf import Btf, DataSection, Kind, Linkage, Variable
from skep.errors import ObjectError
from skep.objects.elf import ElfFile, Section
from skep.objects.kinds import MapType
from skep.objects.spec import GlobalVariable, MapSpec

#: BPF_F_RDONLY_PROG and BPF_F_MMAPABLE.
READ_ONLY = 1 << 7
MAPPABLE = 1 << 10
_WRITABLE = (".data", ".bss")
_READABLE = (".rodata",)
_ARENA_SECTION = ".addr_space.1"
#: Bytes of all sections without contents together, which a few bytes of header can make any number.
_MAX_ZEROS = 1 << 28


def is_data_section(section: Section) -> bool:
    """Whether the section becomes a map."""
    return section.is_allocated and any(
        section.name == start or section.name.startswith(start + ".") for start in _WRITABLE + _READABLE
    )


@dataclass(frozen=True, slots=True)
class DataMaps:
    """The maps of data sections by section index, and the variables in them."""

    maps: dict[int, MapSpec]
    variables: dict[str, GlobalVariable]


def read_data_maps(elf: ElfFile, btf: Btf | None, arena: MapSpec | None) -> DataMaps:
    """The maps of all data sections that are not empty; ``arena`` is the object's map of that type."""
    maps: dict[int, MapSpec] = {}
    zeros = 0
    for section in elf.sections:
        in_arena = section.name == _ARENA_SECTION
        if not section.size or not (in_arena or is_data_section(section)):
            continue
        if section.data is None:
            zeros += section.size
            if zeros > _MAX_ZEROS:
                raise ObjectError(
                    f"{zeros} bytes of zeros are more than the {_MAX_ZEROS} that skep allows; the file is damaged",
                    section=section.name,
                )
        if not in_arena:
            maps[section.index] = _data_map(section, btf)
        elif arena is not None:
            maps[section.index] = replace(arena, contents=_contents(section))
        else:
            raise ObjectError(
                "globals of an arena need a map of that type, and none is defined", section=section.name
            )
    return DataMaps(maps, _variables(elf, btf, maps))


def _contents(section: Section) -> bytes:
    return bytes(section.size) if section.data is None else section.data


def _data_map(section: Section, btf: Btf | None) -> MapSpec:
    read_only = section.name.startswith(_READABLE)
    type_id = (btf.find(section.name, Kind.DATASEC) or 0) if btf else 0
    return MapSpec(
        name=section.name,
        type=MapType.ARRAY,
        key_size=4,
        value_size=section.size,
        max_entries=1,
        flags=READ_ONLY * read_only | MAPPABLE * (btf is not None and _is_seen_outside(btf, type_id)),
        value_type_id=type_id,
        contents=_contents(section),
        frozen=read_only,
        section=section.name,
        btf=btf,
    )


def _is_seen_outside(btf: Btf, type_id: int) -> bool:
    return any(variable.linkage is not Linkage.STATIC for variable in _section_variables(btf, type_id).values())


def _section_variables(btf: Btf, type_id: int) -> dict[str, Variable]:
    """The variables of a data section in BTF by name; empty for type 0."""
    section = btf[type_id]
    if not isinstance(section, DataSection):
        return {}
    found = (btf[entry.variable] for entry in section.variables)
    return {variable.name: variable for variable in found if isinstance(variable, Variable)}


def _variables(elf: ElfFile, btf: Btf | None, maps: dict[int, MapSpec]) -> dict[str, GlobalVariable]:
    types: dict[int, dict[str, Variable]] = {}
    for index in maps if btf else ():
        assert btf is not None
        types[index] = _section_variables(btf, btf.find(elf.sections[index].name, Kind.DATASEC) or 0)
    found: dict[str, GlobalVariable] = {}
    for symbol in elf.symbols:
        if symbol.kind != "object" or symbol.section not in maps:
            continue
        spec, section = maps[symbol.section], elf.sections[symbol.section]
        if symbol.value + symbol.size > section.size:
            raise ObjectError(
                f"the variable {symbol.name!r} ends at byte {symbol.value + symbol.size} of {section.size}",
                section=section.name,
            )
        variable = types.get(symbol.section, {}).get(symbol.name)
        entry = GlobalVariable(symbol.name, spec.name, symbol.value, symbol.size, variable.type if variable else 0)
        # Static variables of several files may share a name; the one that other files see counts.
        if symbol.name not in found or not symbol.is_local:
            found[symbol.name] = entry
    return found
