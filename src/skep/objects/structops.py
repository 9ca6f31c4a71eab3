"""``.struct_ops`` sections: tables of programs that the kernel calls, such as a congestion control.

Each variable becomes a map of type STRUCT_OPS whose contents are the variable's bytes. Its ``slots`` say which
program belongs in which member: byte offset in the struct to the program's name.
Source: the kernel's ``Documentation/bpf/libbpf/program_types.rst`` and libbpf's ``.struct_ops.link`` convention.
"""

from __future__ import annotations

from types import MappingProxyType

from skep.btf import Variable
from skep.btf.btf import Btf
from skep.errors import ObjectError
from skep.objects.elf import ElfFile
from skep.objects.kinds import MapType
from skep.objects.mapdefs import FunctionNamer, MapDefinitions, section_of
from skep.objects.spec import MapSpec

#: The sections, and the BPF_F_LINK flag that the second stands for.
SECTIONS = {".struct_ops": 0, ".struct_ops.link": 1 << 13}


def read_struct_ops(elf: ElfFile, btf: Btf | None, found: MapDefinitions, name_function: FunctionNamer) -> None:
    """Add a map for each variable of the ``.struct_ops`` sections."""
    for name, flags in SECTIONS.items():
        section = elf.by_name.get(name)
        if section is None or not section.data:
            continue
        types, datasec = section_of(btf, section)
        relocations = {relocation.offset: relocation for relocation in elf.relocations(section)}
        last = 0
        for entry in sorted(datasec.variables, key=lambda item: item.offset):
            variable = types[entry.variable]
            start, last = last, entry.offset + entry.size
            if not isinstance(variable, Variable) or last > section.size or entry.offset < start:
                raise ObjectError(
                    f"the variable of type {entry.variable} does not lie in the section; the BTF is damaged",
                    section=name,
                )
            slots: dict[int, str] = {}
            for at in range(entry.offset, last - 7):
                relocation = relocations.get(at)
                if relocation is None or relocation.symbol.section is None:
                    continue
                stored = int.from_bytes(section.data[at : at + 8], elf.byte_order)
                place = relocation.symbol.value + relocation.addend + stored
                if (program := name_function(relocation.symbol.section, place)) is not None:
                    slots[at - entry.offset] = program
            spec = MapSpec(
                name=variable.name,
                type=MapType.STRUCT_OPS,
                key_size=4,
                value_size=entry.size,
                max_entries=1,
                flags=flags,
                value_type_id=variable.type,
                contents=section.data[entry.offset : last],
                slots=MappingProxyType(slots),
                section=name,
                btf=types,
            )
            found.add(spec, section, entry.offset)
