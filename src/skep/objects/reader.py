"""An object file to a `Spec`: the order in which its parts are read, and how they come together.

Nothing here touches a kernel. Whatever is wrong with the file ends in an `ObjectError` (or the `BtfError` of its
types) that names the file.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from skep.btf import Btf, BtfExt, DeclTag
from skep.btf.kinds import Kind
from skep.errors import BtfError, ObjectError, SkepError
from skep.objects.code import Call, Code, Function, Linked, Linker, read_code, resolve_local_calls, unique_name
from skep.objects.datamaps import DataMaps, read_data_maps
from skep.objects.elf import ElfFile, Section, Symbol
from skep.objects.externs import Externs, read_externs
from skep.objects.kinds import MapType
from skep.objects.legacymaps import read_legacy_maps
from skep.objects.mapdefs import MapDefinitions, read_btf_maps
from skep.objects.relocate import DataPlace, Places, relocate
from skep.objects.sections import SLEEPABLE, read_section_name
from skep.objects.spec import MapReference, MapSpec, ProgramSpec, Spec
from skep.objects.structops import read_struct_ops

#: Bytes of the largest file that is read; the largest BPF objects known have a few million.
MAX_FILE_SIZE = 1 << 28


def open(path: str | os.PathLike[str]) -> Spec:
    """Read the object file at ``path``. Raises `ObjectError` or `BtfError`, which name the file."""
    name = os.fspath(path)
    try:
        with Path(name).open("rb") as stream:
            data = stream.read(MAX_FILE_SIZE + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ObjectError(f"the file cannot be read: {reason}", file=name) from None
    return read(data, name)


def read(data: bytes, file: str = "<bytes>") -> Spec:
    """Read an object from its bytes; ``file`` is what errors call it."""
    try:
        if len(data) > MAX_FILE_SIZE:
            raise ObjectError(f"the file has over {MAX_FILE_SIZE} bytes; no BPF object is that large")
        return _read(ElfFile(data), file)
    except SkepError as error:
        error.file = file
        if isinstance(error, BtfError) and error.section is None:
            error.section = ".BTF"
        raise


def _read(elf: ElfFile, file: str) -> Spec:
    btf, ext = _read_types(elf)
    codes = _read_codes(elf, ext)

    def name_function(section: int, byte: int) -> str | None:
        function = codes[section].functions.get(byte // 8) if section in codes else None
        return function.name if function else None

    definitions = MapDefinitions()
    read_btf_maps(elf, btf, definitions, name_function)
    read_legacy_maps(elf, btf, definitions)
    read_struct_ops(elf, btf, definitions, name_function)
    arena = next((spec for spec in definitions.maps.values() if spec.type is MapType.ARENA), None)
    weak = frozenset(symbol.name for symbol in elf.symbols if symbol.is_weak)
    data, externs = read_data_maps(elf, btf, arena), read_externs(btf, weak)
    places = _places(codes, definitions, data, externs)
    for code in codes.values():
        relocate(elf, code, places)
        resolve_local_calls(code)
    maps = {**definitions.maps, **{spec.name: spec for spec in data.maps.values()}}
    if externs.map is not None:
        maps[externs.map.name] = externs.map
    license, version = _license(elf), _version(elf)
    linker, taken = Linker(codes), set[str]()
    callbacks = _exception_callbacks(codes, btf)
    programs: dict[str, ProgramSpec] = {}
    siblings = MappingProxyType(programs)
    for function in _programs(codes):
        name = unique_name(function.name, taken)
        linked = linker.link(function, callbacks.get(function.type_id, ()))
        program = _program(name, function, linked, maps, license, version, file, btf)
        programs[name] = replace(program, siblings=siblings, byte_order=elf.byte_order)
    return Spec(
        file=file,
        programs=siblings,
        maps=MappingProxyType(maps),
        variables=MappingProxyType({**data.variables, **{item.name: item for item in externs.globals}}),
        license=license,
        kernel_version=version,
        byte_order=elf.byte_order,
        btf=btf,
    )


def _read_types(elf: ElfFile) -> tuple[Btf | None, BtfExt]:
    """BTF and BTF.ext, with what the compiler leaves to the loader filled in: where variables lie, section sizes."""
    section = elf.by_name.get(".BTF")
    if section is None or not section.data:
        return None, BtfExt()
    data = bytearray(section.data)
    for relocation in elf.relocations(section):
        at = relocation.offset
        if at + 4 > len(data):
            raise ObjectError("a relocation lies outside the section", section=section.name, offset=at)
        stored = int.from_bytes(data[at : at + 4], elf.byte_order)
        value = (stored + relocation.symbol.value + relocation.addend) & 0xFFFFFFFF
        data[at : at + 4] = value.to_bytes(4, elf.byte_order)
    btf = Btf.parse(bytes(data))
    sizes = {item.name: item.size for item in elf.sections if item.size < 1 << 32}
    btf = btf.with_section_sizes(sizes)
    ext = elf.by_name.get(".BTF.ext")
    if ext is None or not ext.data:
        return btf, BtfExt()
    try:
        return btf, BtfExt.parse(ext.data, btf)
    except BtfError as error:
        error.section = ext.name
        raise


def _read_codes(elf: ElfFile, ext: BtfExt) -> dict[int, Code]:
    """The sections with instructions, by section index. Hand-written assembly may have symbols without a type."""
    sections = [section for section in elf.sections if section.is_code and section.size]
    typed: dict[int, list[Symbol]] = {section.index: [] for section in sections}
    untyped: dict[int, list[Symbol]] = {section.index: [] for section in sections}
    for symbol in elf.symbols:
        if symbol.section not in typed:
            continue
        if symbol.kind == "function":
            typed[symbol.section].append(symbol)
        elif symbol.kind == "none" and not symbol.is_local:
            untyped[symbol.section].append(symbol)
    return {
        section.index: read_code(elf, section, typed[section.index] or untyped[section.index], ext)
        for section in sections
    }


def _places(codes: Mapping[int, Code], definitions: MapDefinitions, data: DataMaps, externs: Externs) -> Places:
    return Places(
        maps=definitions.places,
        map_sections=frozenset(definitions.sections),
        data={index: DataPlace(spec.name, len(spec.contents or b"")) for index, spec in data.maps.items()},
        codes=codes,
        externs=externs,
    )


def _is_subprogram_section(section: Section) -> bool:
    return section.name == ".text" or section.name.startswith(".text.")


def _programs(codes: Mapping[int, Code]) -> list[Function]:
    """The functions that are programs: those outside ``.text``, or without any, the functions in ``.text``.

    A static function is a program only where nothing in the object refers to it.
    """
    referred = {
        reference.function
        for code in codes.values()
        for reference in code.references.values()
        if isinstance(reference, Call)
    }

    def choose(candidates: Iterable[Code]) -> list[Function]:
        return [
            function
            for code in candidates
            for function in code.functions.values()
            if not function.is_local or function not in referred
        ]

    return choose(code for code in codes.values() if not _is_subprogram_section(code.section)) or choose(
        codes.values()
    )


#: What a tag on a program starts with that names the function to go on with after an exception.
_CALLBACK_TAG = "exception_callback:"


def _exception_callbacks(codes: Mapping[int, Code], btf: Btf | None) -> dict[int, list[Function]]:
    """The functions that exceptions of programs go to, by the type of the program. Nothing in its code names them."""
    found: dict[int, list[Function]] = {}
    if btf is None:
        return found
    known = {
        function.name: function
        for code in codes.values()
        if _is_subprogram_section(code.section)
        for function in code.functions.values()
        if function.is_global
    }
    for text in sorted(btf.names_with(_CALLBACK_TAG)):
        for type_id in btf.find_all(text, Kind.DECL_TAG):
            tag, function = btf[type_id], known.get(text.removeprefix(_CALLBACK_TAG))
            if isinstance(tag, DeclTag) and function is not None:
                found.setdefault(tag.target, []).append(function)
    return found


def _program(
    name: str,
    function: Function,
    linked: Linked,
    maps: Mapping[str, MapSpec],
    license: str,
    version: int,
    file: str,
    btf: Btf | None,
) -> ProgramSpec:
    says = read_section_name(function.section.name)
    meaning = says.meaning
    named = [item.map for item in linked.references.values() if isinstance(item, MapReference)]
    return ProgramSpec(
        name=name,
        section=function.section.name,
        type=meaning.type if meaning else None,
        instructions=linked.instructions,
        attach_type=meaning.attach_type if meaning else None,
        attach_target=says.target,
        sleepable=bool(meaning and meaning.flags & SLEEPABLE),
        flags=meaning.flags if meaning else 0,
        functions=linked.functions,
        references=linked.references,
        lines=linked.lines,
        core_relocations=linked.core_relocations,
        maps=MappingProxyType(_with_members(named, maps)),
        tables=tuple(map for map in maps.values() if map.type is MapType.STRUCT_OPS and name in map.slots.values()),
        license=license,
        kernel_version=version,
        file=file,
        btf=btf,
        autoload=says.autoload,
    )


def _with_members(names: Iterable[str], maps: Mapping[str, MapSpec]) -> dict[str, MapSpec]:
    """The maps of those names, and the maps that they hold from the start."""
    found: dict[str, MapSpec] = {}
    pending = list(names)[::-1]
    while pending:
        name = pending.pop()
        if name not in found and name in maps:
            found[name] = maps[name]
            pending += maps[name].slots.values()
    return found


def _license(elf: ElfFile) -> str:
    section = elf.by_name.get("license")
    return section.data.partition(b"\0")[0].decode(errors="replace") if section and section.data else ""


def _version(elf: ElfFile) -> int:
    """The kernel version of the section ``version``, which old kernels checked for kprobes."""
    section = elf.by_name.get("version")
    if section is None or section.data is None:
        return 0
    if len(section.data) != 4:
        raise ObjectError(f"a version of {len(section.data)} bytes is impossible, it has 4", section=section.name)
    return int.from_bytes(section.data, elf.byte_order)
