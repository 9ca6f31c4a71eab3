"""Data sections as maps: ``.data``, ``.rodata``, ``.bss`` and sections whose name starts like one of them.

Each is an array map of one element, its value the bytes of the section, its name that of the section. Read-only
data is read-only for the program and frozen for user space. Where BTF says that a variable can be seen from outside,
the map can be mapped into memory, as libbpf decides it. Variables come from the symbol table, their types from BTF.
"""

from __future__ import annotations

from dataclasses import dataclass

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


def read_data_maps(elf: ElfFile, btf: Btf | None) -> DataMaps:
    """The maps of all data sections that are not empty."""
    maps: dict[int, MapSpec] = {}
    zeros = 0
    for section in elf.sections:
        if not section.size or not is_data_section(section):
            continue
        if section.data is None:
            zeros += section.size
            if zeros > _MAX_ZEROS:
                raise ObjectError(
                    f"{zeros} bytes of zeros are more than the {_MAX_ZEROS} that skep allows; the file is damaged",
                    section=section.name,
                )
        maps[section.index] = _data_map(section, btf)
    return DataMaps(maps, _variables(elf, btf, maps))


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
        contents=bytes(section.size) if section.data is None else section.data,
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
    types = {index: _section_variables(btf, spec.value_type_id) for index, spec in maps.items()} if btf else {}
    found: dict[str, GlobalVariable] = {}
    for symbol in elf.symbols:
        if symbol.kind != "object" or symbol.section not in maps:
            continue
        spec = maps[symbol.section]
        if symbol.value + symbol.size > spec.value_size:
            raise ObjectError(
                f"the variable {symbol.name!r} ends at byte {symbol.value + symbol.size} of {spec.value_size}",
                section=spec.section,
            )
        variable = types.get(symbol.section, {}).get(symbol.name)
        entry = GlobalVariable(symbol.name, spec.name, symbol.value, symbol.size, variable.type if variable else 0)
        # Static variables of several files may share a name; the one that other files see counts.
        if symbol.name not in found or not symbol.is_local:
            found[symbol.name] = entry
    return found
