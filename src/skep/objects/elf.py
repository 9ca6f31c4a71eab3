"""An ELF file as sections, symbols and relocations, every one checked before it is believed.

The fields are read by pyelftools. It trusts what it reads (sizes, offsets, links), so the header and the section
table are held against the file's length first; whatever it still raises on damaged data becomes one `ObjectError`.
Source: the System V ABI, chapter 4; machine number 247 and relocation types from LLVM's ``BPF.def``.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from skep.errors import ObjectError

if TYPE_CHECKING:
    from elftools.elf.elffile import ELFFile

SymbolKind = Literal["none", "object", "function", "section", "other"]

_MAGIC = b"\x7fELF"
_HEADER_SIZE = 64
_SECTION_HEADER_SIZE = 64
_SYMBOL_SIZE = 24
_MACHINE_BPF = 247
#: The machines that people build for by mistake, and a few others, for the message.
_MACHINES = {
    3: "x86 (32 bit)",
    8: "MIPS",
    20: "PowerPC",
    21: "PowerPC (64 bit)",
    22: "s390x",
    40: "ARM (32 bit)",
    62: "x86-64",
    183: "ARM (64 bit)",
    243: "RISC-V",
    258: "LoongArch",
    263: "Solana's BPF",
}
_FILE_TYPES = {2: "an executable", 3: "a shared library", 4: "a core dump"}
#: Bytes of the longest name that is read; mangled names of Rust and C++ stay far below.
_MAX_NAME = 4096


@dataclass(frozen=True, slots=True)
class Section:
    """A section: its bytes (None where it has none, as ``.bss``) and its size in bytes."""

    index: int
    name: str
    size: int
    data: bytes | None
    is_code: bool
    is_allocated: bool


@dataclass(frozen=True, slots=True)
class Symbol:
    """A symbol. ``section`` is the index of its section, None where it is undefined, absolute or common."""

    name: str
    kind: SymbolKind
    section: int | None
    value: int
    size: int
    is_local: bool
    is_weak: bool
    is_hidden: bool
    is_undefined: bool


@dataclass(frozen=True, slots=True)
class Relocation:
    """What to put at byte ``offset`` of a section depends on ``symbol``; ``addend`` is 0 unless stated."""

    offset: int
    type: int
    symbol: Symbol
    addend: int


def _open(data: bytes) -> ELFFile:
    """pyelftools' view of a file whose header was found to be in order."""
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile

    try:
        return ELFFile(io.BytesIO(data))
    # It looks for the section names at once, through whatever sections, links and offsets it finds.
    except (ELFError, ValueError, TypeError, LookupError, AttributeError, AssertionError, OverflowError) as error:
        detail = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ObjectError(f"the section table cannot be read ({detail}); the file is damaged") from None


class ElfFile:
    """The sections, symbols and relocations of a relocatable BPF object."""

    def __init__(self, data: bytes) -> None:
        self.byte_order: Literal["little", "big"] = _check_header(data)
        self._data = data
        self._elf = _open(data)
        self.sections = self._read_sections()
        self.by_name: Mapping[str, Section] = {section.name: section for section in reversed(self.sections)}

    def _read_sections(self) -> list[Section]:
        """All sections by index; index 0 is the empty one that ELF starts with."""
        data, elf = self._data, self._elf
        count = elf["e_shnum"]
        sections = []
        total = 0
        for index in range(count):
            header = elf._get_section_header(index)
            stored = 0 if header["sh_type"] in ("SHT_NOBITS", "SHT_NULL") else header["sh_size"]
            if header["sh_offset"] + stored > len(data) and stored:
                raise ObjectError(
                    f"section {index} ends at byte {header['sh_offset'] + stored} of {len(data)}; "
                    "the file is cut or damaged, build it again",
                    offset=header["sh_offset"],
                )
            total += stored
            sections.append((index, header, stored))
        if total > len(data):
            # Copying sections that share bytes could make any amount of memory of a small file.
            raise ObjectError(
                f"the sections have {total} bytes together, the file {len(data)}: they overlap; the file is damaged"
            )
        self._headers = [header for _, header, _ in sections]
        strings = elf["e_shstrndx"]
        if not 0 < strings < count:
            raise ObjectError(
                f"section {strings} is to hold the section names, but there are sections 0 to {count - 1}"
            )
        names = self._bytes(*sections[strings][1:])
        return [
            Section(
                index,
                _string(names, header["sh_name"], f"section {index}") if index else "",
                header["sh_size"],
                None if header["sh_type"] == "SHT_NOBITS" else self._bytes(header, stored),
                header["sh_type"] == "SHT_PROGBITS" and bool(header["sh_flags"] & 4),
                bool(header["sh_flags"] & 2),
            )
            for index, header, stored in sections
        ]

    def _bytes(self, header: Any, size: int) -> bytes:
        return self._data[header["sh_offset"] : header["sh_offset"] + size]

    def _entries(self, header: Any, layout: Any, size: int, what: str) -> Iterator[Any]:
        """The entries of a table, each of ``size`` bytes, read with one of pyelftools' structures."""
        from elftools.common.utils import struct_parse

        if header["sh_entsize"] != size:
            raise ObjectError(
                f"a {what} of {header['sh_entsize']} bytes is impossible, one has {size}; the file is damaged"
            )
        start = header["sh_offset"]
        for at in range(start, start + header["sh_size"] // size * size, size):
            yield struct_parse(layout, self._elf.stream, at)

    @cached_property
    def symbols(self) -> list[Symbol]:
        """All symbols by index; empty without a symbol table."""
        for header in self._headers:
            if header["sh_type"] == "SHT_SYMTAB":
                if not 0 < header["sh_link"] < len(self.sections):
                    raise ObjectError("the symbol table names no section with its names; the file is damaged")
                names = self.sections[header["sh_link"]].data or b""
                entries = self._entries(header, self._elf.structs.Elf_Sym, _SYMBOL_SIZE, "symbol")
                return [self._symbol(index, entry, names) for index, entry in enumerate(entries)]
        return []

    def _symbol(self, index: int, entry: Any, names: bytes) -> Symbol:
        place = entry["st_shndx"]
        section = place if isinstance(place, int) else None
        name = _string(names, entry["st_name"], f"symbol {index}")
        if section is not None and section >= len(self.sections):
            raise ObjectError(
                f"symbol {index} ({name or 'without name'}) is in section {section}, but there are "
                f"{len(self.sections)}; the file is damaged, build it again"
            )
        kind = _SYMBOL_KINDS.get(entry["st_info"]["type"], "other")
        if kind == "section" and not name and section is not None:
            name = self.sections[section].name
        return Symbol(
            name=name,
            kind=kind,
            section=section,
            value=entry["st_value"],
            size=entry["st_size"],
            is_local=entry["st_info"]["bind"] == "STB_LOCAL",
            is_weak=entry["st_info"]["bind"] == "STB_WEAK",
            is_hidden=entry["st_other"]["visibility"] in ("STV_HIDDEN", "STV_INTERNAL"),
            is_undefined=place == "SHN_UNDEF",
        )

    def relocations(self, section: Section) -> list[Relocation]:
        """What the relocation sections say about ``section``, in the order of the file."""
        found = []
        structs = self._elf.structs
        layouts = {"SHT_REL": (structs.Elf_Rel, 16), "SHT_RELA": (structs.Elf_Rela, 24)}
        for header in self._headers:
            if header["sh_type"] not in layouts or header["sh_info"] != section.index:
                continue
            for entry in self._entries(header, *layouts[header["sh_type"]], "relocation"):
                number, offset = entry["r_info_sym"], entry["r_offset"]
                if number >= len(self.symbols):
                    raise ObjectError(
                        f"the relocation refers to symbol {number}, but there are {len(self.symbols)}; "
                        "the file is damaged, build it again",
                        section=section.name,
                        offset=offset,
                    )
                addend = entry.get("r_addend", 0)
                found.append(Relocation(offset, entry["r_info_type"], self.symbols[number], addend))
        return found


def _string(table: bytes, offset: int, what: str) -> str:
    """The name at ``offset`` of a string table."""
    end = table.find(0, offset, offset + _MAX_NAME)
    if end < 0:
        raise ObjectError(
            f"the name of {what} (at {offset:#x}) does not lie in the string table; the file is damaged"
        )
    name = table[offset:end].decode(errors="replace")
    # Names go into one-line messages; those of damaged files may hold anything.
    return name if name.isprintable() else name.encode("unicode_escape").decode()


_SYMBOL_KINDS: dict[str, SymbolKind] = {
    "STT_NOTYPE": "none",
    "STT_OBJECT": "object",
    "STT_FUNC": "function",
    "STT_SECTION": "section",
}


def _check_header(data: bytes) -> Literal["little", "big"]:
    """The byte order of a relocatable 64-bit BPF object, or the error that says what the data is instead.

    The fields are at the places that the ABI gives them; the section table is known to lie in the file after this.
    """
    if data[:4] != _MAGIC[: len(data)] or not data:
        raise ObjectError(
            f"this is not an ELF object (it starts with {data[:4].hex(' ')}); build it with clang -target bpf -c"
            if data
            else "the file is empty; an ELF object built with clang -target bpf -c is needed"
        )
    if len(data) < _HEADER_SIZE:
        raise ObjectError(f"the file is cut: {len(data)} bytes, and an ELF header alone has {_HEADER_SIZE}")
    if data[5] not in (1, 2):
        raise ObjectError(f"byte order {data[5]} in the ELF header is unknown; the file is damaged", offset=5)
    order: Literal["little", "big"] = "little" if data[5] == 1 else "big"
    machine = int.from_bytes(data[18:20], order)
    if machine != _MACHINE_BPF:
        name = _MACHINES.get(machine, f"number {machine}")
        raise ObjectError(f"the object is for machine {name}, not BPF; build it with clang -target bpf", offset=18)
    if data[4] != 2:
        raise ObjectError("the ELF class is not 64 bit, as BPF objects are; the file is damaged", offset=4)
    kind = int.from_bytes(data[16:18], order)
    if kind != 1:
        raise ObjectError(
            f"this is {_FILE_TYPES.get(kind, f'an ELF file of type {kind}')}, not a relocatable object; "
            "build it with clang -target bpf -c",
            offset=16,
        )
    start = int.from_bytes(data[40:48], order)
    size, count = int.from_bytes(data[58:60], order), int.from_bytes(data[60:62], order)
    if not count:
        raise ObjectError("there are no sections; BPF programs are in the sections of a relocatable object")
    if size != _SECTION_HEADER_SIZE or start + count * size > len(data):
        raise ObjectError(
            f"the section table ({count} entries of {size} bytes from {start:#x}) does not lie in the file of "
            f"{len(data)} bytes; it is cut or damaged, build it again",
            offset=40,
        )
    return order
