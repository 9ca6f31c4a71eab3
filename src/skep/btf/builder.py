"""BTF made from Python calls: each returns the id of a type; equal types get one id.

builder = BtfBuilder()
u32 = builder.integer("unsigned int", 4)
key = builder.struct("key", [("address", u32), ("port", builder.integer("unsigned short", 2))])
btf = builder.build()
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Mapping, Sequence

from skep.btf.btf import Btf, ByteOrder
from skep.btf.records import encode_type
from skep.btf.types import (
    Array,
    Enum,
    Enum64,
    Enumerator,
    Function,
    FunctionPrototype,
    Int,
    Linkage,
    Member,
    Parameter,
    Pointer,
    Struct,
    Type,
    Typedef,
    Union,
    Variable,
)
from skep.errors import BtfError


class BtfBuilder:
    """Collects types; with a ``base`` the result is split BTF that continues it."""

    def __init__(self, byte_order: ByteOrder = "little", base: Btf | None = None) -> None:
        self.byte_order: ByteOrder = byte_order
        self.base = base
        self._first = len(base) if base else 1
        self._types: list[Type] = []
        self._ids: dict[Type, int] = {}
        self._strings = bytearray() if base else bytearray(b"\0")
        self._string_offsets: dict[str, int] = {"": 0}

    def string(self, text: str) -> int:
        """The offset of ``text`` in the string section, where it is put if it is new."""
        offset = self._string_offsets.get(text)
        if offset is None:
            if "\0" in text:
                raise BtfError(f"the name {text!r} holds a zero byte, which ends a name in BTF")
            offset = len(self._strings) + (self.base.string_size if self.base else 0)
            self._string_offsets[text] = offset
            self._strings += text.encode() + b"\0"
        return offset

    def add(self, type: Type, *, unique: bool = False) -> int:
        """The id of ``type``; one that was added before is found again unless it has to be ``unique``."""
        if not unique and (known := self._ids.get(type)) is not None:
            return known
        self._types.append(type)
        return self._ids.setdefault(type, self._first + len(self._types) - 1) if not unique else self.last

    def replace(self, type_id: int, type: Type) -> None:
        """Put another type at an id: how a struct that points to itself is made."""
        self._types[type_id - self._first] = type

    @property
    def last(self) -> int:
        """The id of the type that was added last."""
        return self._first + len(self._types) - 1

    def integer(self, name: str, size: int, *, signed: bool = False, is_bool: bool = False) -> int:
        """An integer of ``size`` bytes."""
        return self.add(Int(name, size, 8 * size, signed=signed, is_bool=is_bool))

    def pointer(self, target: int = 0) -> int:
        """A pointer; to void unless a target is given."""
        return self.add(Pointer(target=target))

    def array(self, element: int, length: int) -> int:
        """An array of ``length`` elements."""
        return self.add(Array(element=element, index=self.integer("__ARRAY_SIZE_TYPE__", 4), length=length))

    def typedef(self, name: str, target: int) -> int:
        """Another name for a type."""
        return self.add(Typedef(name, target))

    def struct(self, name: str, members: Sequence[tuple[str, int] | tuple[str, int, int]]) -> int:
        """A struct laid out as C does it: ``(name, type)`` or, for a bit field, ``(name, type, bits)``."""
        position, align, placed = 0, 1, []
        view = self.build()
        for name_of_member, type_id, *bits in members:
            size, alignment = view.size_of(type_id), view.align_of(type_id)
            align = max(align, alignment)
            width = bits[0] if bits else 8 * size
            if not bits:
                position += -position % (8 * alignment)
            elif position // (8 * size) != (position + width - 1) // (8 * size):
                position += -position % (8 * size)
            placed.append(Member(name_of_member, type_id, position, width if bits else 0))
            position += width
        total = (position + 7) // 8
        return self.add(Struct(name, total + -total % align, tuple(placed)))

    def union(self, name: str, members: Sequence[tuple[str, int]]) -> int:
        """A union of ``(name, type)`` members."""
        view = self.build()
        align = max((view.align_of(type_id) for _, type_id in members), default=1)
        total = max((view.size_of(type_id) for _, type_id in members), default=0)
        return self.add(
            Union(name, total + -total % align, tuple(Member(text, type_id, 0) for text, type_id in members))
        )

    def enum(self, name: str, values: Mapping[str, int], size: int = 4) -> int:
        """An enumeration; one of 8 bytes is an ENUM64."""
        kind = Enum64 if size == 8 else Enum
        signed = any(value < 0 for value in values.values())
        return self.add(kind(name, size, signed, tuple(Enumerator(*item) for item in values.items())))

    def function(
        self,
        name: str,
        result: int = 0,
        parameters: Sequence[tuple[str, int]] = (),
        linkage: Linkage = Linkage.GLOBAL,
    ) -> int:
        """A function and its prototype."""
        prototype = FunctionPrototype("", result, tuple(Parameter(*parameter) for parameter in parameters))
        return self.add(Function(name, self.add(prototype), linkage))

    def variable(self, name: str, type_id: int, linkage: Linkage = Linkage.GLOBAL) -> int:
        """A variable."""
        return self.add(Variable(name, type_id, linkage))

    def build(self) -> Btf:
        """The BTF of all types so far; more may be added and built after it."""
        words = array("I")
        for type in self._types:
            words.extend(encode_type(type, self.string))
        if self.byte_order != sys.byteorder:
            words.byteswap()
        return Btf(words.tobytes(), bytes(self._strings), self.byte_order, self.base)
