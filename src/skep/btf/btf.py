"""BTF as a value: an index of the types in it, which are decoded when somebody asks for them.

Opening walks the records once for their offsets (150,000 types of a kernel in some tens of milliseconds);
names are indexed on the first search. Split BTF (of a kernel module) continues the ids and strings of its base.
Source: the kernel's ``Documentation/bpf/btf.rst``.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from skep.btf.kinds import ENTRY_WORDS, FIXED_WORDS, Kind
from skep.btf.records import decode_type
from skep.btf.types import (
    Array,
    Composite,
    DataSection,
    Enumeration,
    Float,
    Int,
    Member,
    Modifier,
    Pointer,
    Type,
    Variable,
    Void,
)
from skep.errors import BtfError

ByteOrder = Literal["little", "big"]

MAGIC = 0xEB9F
_HEADER_SIZE = 24
#: Bytes of a string that are read; many types that share one endless string must not fill the memory.
_MAX_STRING = 1 << 14
#: So many searches for the bytes of an offset cost less than a look at the names of all types.
_FEW = 4
#: How deep types may nest before the data is taken to be circular (the kernel's limit is 32).
_MAX_DEPTH = 64


class _RecordSizes(dict[int, int]):
    """The length in words of a record by its info word; few different ones occur."""

    def __missing__(self, info: int) -> int:
        kind = Kind(info >> 24 & 31) if info >> 24 & 31 <= max(Kind) else Kind.VOID
        if kind is Kind.VOID:
            raise KeyError(info >> 24 & 31)
        size = FIXED_WORDS[kind] + ENTRY_WORDS.get(kind, 0) * (info & 0xFFFF)
        self[info] = size
        return size


@dataclass(frozen=True, slots=True)
class Field:
    """Where a member lies in the type that was asked, anonymous structs and unions looked through."""

    name: str
    type: int
    bit_offset: int
    bit_size: int = 0


def byte_order_of(data: bytes, magic: int, what: str) -> ByteOrder:
    """The byte order in which ``data`` starts with the 16-bit ``magic``."""
    if len(data) < 2:
        raise BtfError(f"{what} is {len(data)} bytes long, too short for its header")
    if int.from_bytes(data[:2], "little") == magic:
        return "little"
    if int.from_bytes(data[:2], "big") == magic:
        return "big"
    raise BtfError(f"{what} starts with {data[:2].hex()}, not with the magic number {magic:#x}", offset=0)


def words_of(data: bytes, byte_order: ByteOrder) -> array[int]:
    """The 32-bit words of ``data``, whose length is a multiple of 4."""
    words = array("I", data)
    if byte_order != sys.byteorder:
        words.byteswap()
    return words


class Btf:
    """Types by id, 0 being void; ``len()`` is one more than the last id. It does not change.

    ``base`` is the BTF that this one continues. ``pointer_size`` is 8: BPF has no other.
    """

    pointer_size = 8

    def __init__(self, types: bytes, strings: bytes, byte_order: ByteOrder, base: Btf | None = None) -> None:
        """From a type section and a string section; `Btf.parse` reads both from one block."""
        self.byte_order: ByteOrder = byte_order
        self.base = base
        self._first = len(base) if base else 1
        self._first_string = base.string_size if base else 0
        self._types = types
        self._strings = strings
        if len(types) % 4:
            raise BtfError(f"the type section is {len(types)} bytes long, not a multiple of 4")
        if strings and strings[-1]:
            raise BtfError("the string section does not end in a zero byte; the data is cut or damaged")
        if not base and (not strings or strings[0]):
            raise BtfError(
                "the string section does not start with the empty string: the data is damaged, or continues the "
                "types of a kernel, as a module's does, and cannot be read without them"
            )
        self._words = words_of(types, byte_order)
        self._starts = self._walk()
        self._decoded: dict[int, Type] = {0: Void()}
        self._aligned: dict[int, int] = {}
        self._names: bytes | None = None
        self._found: dict[str, tuple[int, ...]] = {}

    @classmethod
    def parse(cls, data: bytes, base: Btf | None = None) -> Btf:
        """Read BTF as the ELF section ``.BTF`` or the files in ``/sys/kernel/btf`` hold it."""
        order = byte_order_of(data, MAGIC, "BTF")
        if len(data) < _HEADER_SIZE:
            raise BtfError(f"BTF is {len(data)} bytes long, too short for its header of {_HEADER_SIZE}")
        prefix = "<" if order == "little" else ">"
        version, _, size, type_start, type_size, string_start, string_size = struct.unpack_from(
            prefix + "BBIIIII", data, 2
        )
        if version != 1:
            raise BtfError(f"BTF version {version} is unknown, only version 1 is", offset=2)
        for what, start, length in (("type", type_start, type_size), ("string", string_start, string_size)):
            if size < _HEADER_SIZE or size + start + length > len(data):
                raise BtfError(
                    f"the {what} section ends at byte {size + start + length} of {len(data)}; "
                    "the data is cut or damaged",
                    offset=4,
                )
        types, strings = size + type_start, size + string_start
        try:
            return cls(data[types : types + type_size], data[strings : strings + string_size], order, base)
        except BtfError as error:
            # What was counted from the first type is, for the reader of the message, in the whole block.
            if error.offset is not None:
                error.offset += types
            raise

    def _walk(self) -> list[int]:
        """Where each record starts, in words. The hot loop of opening a kernel's BTF."""
        words, sizes, position, end = self._words, _RecordSizes(), 0, len(self._words)
        starts: list[int] = []
        append = starts.append
        try:
            while position < end:
                append(position)
                position += sizes[words[position + 1]]
        except IndexError:
            position = end + 1
        except KeyError as error:
            raise BtfError(
                f"type {self._first + len(starts) - 1} has the unknown kind {error.args[0]}; "
                f"kinds 1 to {max(Kind)} are known",
                offset=4 * position,
            ) from None
        if position != end:
            raise BtfError(
                f"type {self._first + len(starts) - 1} reaches beyond the type section; the data is cut or damaged",
                offset=4 * starts[-1],
            )
        return starts

    def encode(self, byte_order: ByteOrder | None = None) -> bytes:
        """The bytes of a ``.BTF`` section, in this BTF's byte order or the one given."""
        order = byte_order or self.byte_order
        types = self._types
        if order != self.byte_order:
            words = array("I", types)
            words.byteswap()
            types = words.tobytes()
        return (
            struct.pack(
                ("<" if order == "little" else ">") + "HBBIIIII",
                *(MAGIC, 1, 0, _HEADER_SIZE, 0, len(types), len(types), len(self._strings)),
            )
            + types
            + self._strings
        )

    @property
    def string_size(self) -> int:
        """Bytes of strings, those of the base included: where the next split BTF's strings start."""
        return self._first_string + len(self._strings)

    @property
    def stands_alone(self) -> bool:
        """Whether the strings are a whole of their own, though a base may have been given to read them with."""
        return self._strings.startswith(b"\0")

    def string(self, offset: int) -> str:
        """The text at ``offset`` of the string section; bytes that are not UTF-8 become U+FFFD.

        A line of source that is longer than any name or line people write is cut.
        """
        own = offset - self._first_string
        if own < 0 and self.base is not None:
            return self.base.string(offset)
        if not 0 <= own < len(self._strings):
            raise BtfError(f"string offset {offset} lies outside the {self.string_size} bytes of strings")
        end = self._strings.find(0, own, own + _MAX_STRING)
        return self._strings[own : end if end >= 0 else own + _MAX_STRING].decode(errors="replace")

    def __len__(self) -> int:
        return self._first + len(self._starts)

    def __getitem__(self, type_id: int) -> Type:
        found = self._decoded.get(type_id)
        if found is None:
            if 0 < type_id < self._first and self.base is not None:
                return self.base[type_id]
            if not self._first <= type_id < len(self):
                raise BtfError(f"there is no type {type_id}; types 0 to {len(self) - 1} exist")
            found = decode_type(self._words, self._starts[type_id - self._first], self.string)
            self._decoded[type_id] = found
        return found

    def __iter__(self) -> Iterator[Type]:
        """All types from id 0 on, those of the base included."""
        return (self[type_id] for type_id in range(len(self)))

    def __repr__(self) -> str:
        return f"<Btf of {len(self)} types>"

    def kind(self, type_id: int) -> Kind:
        """The kind of a type, without decoding it."""
        if self._first <= type_id < len(self):
            return Kind(self._words[self._starts[type_id - self._first] + 1] >> 24 & 31)
        return self[type_id].kind if self.base is None else self.base.kind(type_id)

    def of_kind(self, kind: Kind) -> list[int]:
        """The ids of all types of a kind, lowest first."""
        below = self.base.of_kind(kind) if self.base else []
        words = self._words
        own = [self._first + n for n, start in enumerate(self._starts) if words[start + 1] >> 24 & 31 == kind]
        return below + own

    def find_all(self, name: str, *kinds: Kind) -> tuple[int, ...]:
        """The ids of all types of that name (of one of the kinds, if any are given), lowest first."""
        below = self.base.find_all(name, *kinds) if self.base else ()
        own = self._found.get(name)
        if own is None:
            own = self._found[name] = tuple(self._ids_of(name))
        return below + tuple(type_id for type_id in own if not kinds or self.kind(type_id) in kinds)

    def _ids_of(self, name: str) -> list[int]:
        """The ids of this BTF's own types of that name, lowest first."""
        if self._names is None:
            words = self._words
            self._names = array("I", [words[start] for start in self._starts]).tobytes()
        offsets = list(self._offsets_of(name))
        if len(offsets) > _FEW:
            # A short name that many longer ones end in: one look at every type costs less than that many searches.
            wanted = set(offsets)
            return [self._first + index for index, one in enumerate(array("I", self._names)) if one in wanted]
        found: list[int] = []
        for offset in offsets:
            # A search for the offset's bytes costs less than a dictionary of all names takes to make.
            pattern = offset.to_bytes(4, sys.byteorder)
            at = self._names.find(pattern)
            while at >= 0:
                if not at % 4:
                    found.append(self._first + at // 4)
                at = self._names.find(pattern, at + 1)
        return sorted(found)

    def names_with(self, fragment: str) -> set[str]:
        """Every name in the string section that contains ``fragment``, those of the base included."""
        found = self.base.names_with(fragment) if self.base else set()
        text, strings = fragment.encode(), self._strings
        at = strings.find(text)
        while at >= 0:
            end = strings.index(b"\0", at)
            found.add(strings[strings.rfind(b"\0", 0, at) + 1 : end].decode(errors="replace"))
            at = strings.find(text, end)
        return found

    def _offsets_of(self, name: str) -> Iterator[int]:
        """Where a string may start that reads ``name``: also inside a longer one that ends in it."""
        text = name.encode() + b"\0"
        whole: Btf | None = self
        while whole is not None:
            at = whole._strings.find(text)
            while at >= 0:
                yield at + whole._first_string
                at = whole._strings.find(text, at + 1)
            whole = whole.base

    def find(self, name: str, *kinds: Kind) -> int | None:
        """The lowest id of a type of that name (of one of the kinds, if any are given), or None."""
        found = self.find_all(name, *kinds)
        return found[0] if found else None

    def resolve_id(self, type_id: int) -> int:
        """The id of a type without the typedefs, qualifiers and tags on it."""
        for _ in range(_MAX_DEPTH):
            type = self[type_id]
            if not isinstance(type, Modifier):
                return type_id
            type_id = type.target
        raise BtfError(f"type {type_id} refers to itself; the data is damaged")

    def resolve(self, type_id: int) -> Type:
        """A type without the typedefs, qualifiers and tags on it."""
        return self[self.resolve_id(type_id)]

    def size_of(self, type_id: int) -> int:
        """The size in bytes of a value of this type; void, functions and forward declarations have none."""
        factor = 1
        for _ in range(_MAX_DEPTH):
            match type := self.resolve(type_id):
                case Int() | Float() | Composite() | Enumeration() | DataSection():
                    return factor * type.size
                case Pointer():
                    return factor * self.pointer_size
                case Array():
                    factor *= type.length
                    type_id = type.element
                case Variable():
                    type_id = type.type
                case _:
                    raise BtfError(f"type {type_id} ({type.kind.name} {type.name!r}) has no size")
        raise BtfError(f"type {type_id} refers to itself; the data is damaged")

    def align_of(self, type_id: int) -> int:
        """The alignment in bytes of a value of this type; 1 for a packed struct, which BTF does not mark."""
        if (known := self._aligned.get(type_id)) is None:
            self._aligned[type_id] = 0
            known = self._align_of(type_id)
            self._aligned[type_id] = known
        if not known:
            raise BtfError(f"type {type_id} contains itself; the data is damaged")
        return known

    def _align_of(self, type_id: int) -> int:
        match type := self.resolve(type_id):
            case Int() | Float() | Enumeration():
                return max(1, min(type.size & -type.size, 16))
            case Pointer():
                return self.pointer_size
            case Array():
                return self.align_of(type.element)
            case Variable():
                return self.align_of(type.type)
            case Composite():
                widest = 1
                for member in type.members:
                    align = self.align_of(member.type)
                    if not member.bit_size and member.bit_offset % (8 * align):
                        return 1
                    widest = max(widest, align)
                return widest if not type.size % widest else 1
        return 1

    def member(self, type_id: int, name: str) -> Field | None:
        """The member ``name`` of a struct or union, looked for inside anonymous ones too; None if there is none."""
        return self._member(type_id, name, 0, set())

    def _member(self, type_id: int, name: str, offset: int, seen: set[int]) -> Field | None:
        type_id = self.resolve_id(type_id)
        type = self[type_id]
        if not isinstance(type, Composite) or type_id in seen or len(seen) > _MAX_DEPTH * _MAX_DEPTH:
            return None
        seen.add(type_id)
        for member in type.members:
            if member.name == name:
                return Field(name, member.type, offset + member.bit_offset, member.bit_size)
            if not member.name and (found := self._member(member.type, name, offset + member.bit_offset, seen)):
                return found
        return None

    def members(self, type_id: int) -> tuple[Member, ...]:
        """The members of a struct or union, as it is written; empty for other types."""
        type = self.resolve(type_id)
        return type.members if isinstance(type, Composite) else ()

    def with_section_sizes(self, sizes: Mapping[str, int]) -> Btf:
        """This BTF with the sizes of data sections filled in by name; compilers leave them 0 for the loader."""
        types = bytearray(self._types)
        for start in self._starts:
            if self._words[start + 1] >> 24 & 31 != Kind.DATASEC:
                continue
            name, size = self.string(self._words[start]), self._words[start + 2]
            if name in sizes and not size:
                types[4 * start + 8 : 4 * start + 12] = sizes[name].to_bytes(4, self.byte_order)
        return Btf(bytes(types), self._strings, self.byte_order, self.base)
