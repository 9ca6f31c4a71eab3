"""Relocations of code: what each names, written into the instruction in the kernel's form and kept as a reference.

A relocation names a symbol. By where the symbol lies it is a map definition, a variable in a data section, a
function, or nothing in this object: then BTF says whether the kernel (``.ksyms``) or its configuration
(``.kconfig``) has it.
Source: the kernel's ``Documentation/bpf/llvm_reloc.rst``; pseudo sources from RFC 9669, section 5.4, and
``BPF_PSEUDO_*`` in ``include/uapi/linux/bpf.h``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from skep.errors import ObjectError
from skep.isa.instruction import Instruction
from skep.objects.code import Call, Code
from skep.objects.elf import ElfFile, Relocation
from skep.objects.externs import Externs
from skep.objects.spec import KfuncReference, KsymReference, MapReference, Reference

_LDDW = 0x18
_CALL = 0x85
_PSEUDO_MAP, _PSEUDO_MAP_VALUE, _PSEUDO_KERNEL = 1, 2, 3
_PSEUDO_KFUNC = 2
_TYPE_WIDE, _TYPE_CALL = 1, 10


@dataclass(frozen=True, slots=True)
class DataPlace:
    """A section whose bytes are the value of a map: ``size`` bytes of ``map``."""

    map: str
    size: int


@dataclass(frozen=True, slots=True)
class Places:
    """What lies where: maps by section index and byte, data sections and code by section index, and externs."""

    maps: Mapping[tuple[int, int], str]
    map_sections: frozenset[int]
    data: Mapping[int, DataPlace]
    codes: Mapping[int, Code]
    externs: Externs


def relocate(elf: ElfFile, code: Code, places: Places) -> None:
    """Apply the relocations of one code section to its instructions, and record what they refer to."""
    instructions = list(code.instructions)
    section = code.section
    for relocation in elf.relocations(section):
        slot = relocation.offset // 8
        if relocation.offset % 8 or slot >= len(instructions):
            raise ObjectError(
                f"a relocation is at no instruction; the section has {section.size} bytes",
                section=section.name,
                offset=relocation.offset,
            )
        wanted = {_TYPE_WIDE: _LDDW, _TYPE_CALL: _CALL}.get(relocation.type)
        opcode = instructions[slot].opcode
        if wanted is None or opcode != wanted or (wanted == _LDDW and slot + 1 == len(instructions)):
            raise ObjectError(
                f"a relocation of type {relocation.type} for {relocation.symbol.name!r} does not fit the instruction "
                f"there (opcode {opcode:#04x}); 64-bit loads and calls are relocated",
                section=section.name,
                instruction=slot,
            )
        try:
            code.references[slot] = _apply(elf, instructions, slot, relocation, places)
        except ObjectError as error:
            error.section, error.instruction = section.name, slot
            raise
    code.instructions = tuple(instructions)


def _apply(
    elf: ElfFile, instructions: list[Instruction], slot: int, relocation: Relocation, places: Places
) -> Reference | Call:
    symbol = relocation.symbol
    instruction = instructions[slot]
    is_call = instruction.opcode == _CALL
    addend = instruction.imm + relocation.addend
    if symbol.section is None:
        return _apply_extern(instructions, slot, relocation, places.externs)
    if (code := places.codes.get(symbol.section)) is not None:
        # A call's immediate counts slots from the next instruction on; an address counts bytes from the symbol.
        start = symbol.value // 8 + addend + 1 if is_call else (symbol.value + addend) // 8
        function = code.functions.get(start)
        if function is None:
            raise ObjectError(
                f"the relocation refers to slot {start} of section {code.section.name}, where no function starts"
            )
        return Call(function)
    if is_call:
        raise ObjectError(f"a call of {symbol.name!r}, which is not a function")
    position, section = symbol.value + addend, elf.sections[symbol.section]
    if (name := places.maps.get((symbol.section, position))) is not None:
        return _refer_to_map(instructions, slot, MapReference(name))
    if symbol.section in places.map_sections:
        raise ObjectError(f"the relocation for {symbol.name!r} refers to byte {position}, where no map is defined")
    if (place := places.data.get(symbol.section)) is not None:
        if not 0 <= position <= place.size:
            raise ObjectError(
                f"the relocation for {symbol.name!r} refers to byte {position} of section {place.map}, "
                f"which has {place.size}"
            )
        return _refer_to_map(instructions, slot, MapReference(place.map, position))
    raise ObjectError(
        f"the relocation for {symbol.name!r} refers to section {section.name}, "
        "which holds neither code, maps nor data"
    )


def _refer_to_map(instructions: list[Instruction], slot: int, reference: MapReference) -> MapReference:
    """Write a map reference into a wide load: pseudo source in the first slot, offset in the second."""
    source = _PSEUDO_MAP if reference.offset is None else _PSEUDO_MAP_VALUE
    instructions[slot] = replace(instructions[slot], src=source, imm=0)
    instructions[slot + 1] = replace(instructions[slot + 1], imm=reference.offset or 0)
    return reference


def _apply_extern(instructions: list[Instruction], slot: int, relocation: Relocation, externs: Externs) -> Reference:
    symbol, instruction = relocation.symbol, instructions[slot]
    name = symbol.name
    if not symbol.is_undefined:
        raise ObjectError(f"the symbol {name!r} is in no section; build with -fno-common")
    if instruction.opcode == _CALL:
        if name in externs.functions:
            instructions[slot] = replace(instruction, src=_PSEUDO_KFUNC, imm=0)
            return KfuncReference(name, symbol.is_weak)
        raise ObjectError(
            f"the function {name!r} is called but not defined here; BPF has no C library: define it, link it in with "
            "`bpftool gen object`, or declare it with __ksym and build with -g"
        )
    if (offset := externs.configuration.get(name)) is not None:
        return _refer_to_map(instructions, slot, MapReference(externs.CONFIGURATION_MAP, offset))
    type_id = externs.functions.get(name, externs.variables.get(name))
    if type_id is None:
        raise ObjectError(
            f"the symbol {name!r} is used but not defined here; define it, link it in with `bpftool gen object`, "
            "or declare it with __ksym or __kconfig and build with -g"
        )
    instructions[slot] = replace(instruction, src=_PSEUDO_KERNEL if type_id else 0, imm=0)
    instructions[slot + 1] = replace(instructions[slot + 1], imm=0)
    return KsymReference(name, symbol.is_weak, type_id)
