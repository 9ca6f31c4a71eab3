"""The ``.BTF.ext`` section: what the types say about instructions. Function types, source lines, CO-RE relocations.

Everything is grouped by the ELF section whose instructions it speaks of. In the file positions are bytes from the
start of that section; here they are slots of 8 bytes. Texts are offsets into the strings of the `Btf` beside it.
Source: the kernel's ``Documentation/bpf/btf.rst``, section ".BTF.ext section"; CO-RE kinds from
``enum bpf_core_relo_kind`` in ``include/uapi/linux/bpf.h`` of Linux 6.18.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cache
from types import MappingProxyType
from typing import TypeVar

from skep.btf.btf import MAGIC, Btf, ByteOrder, byte_order_of
from skep.errors import BtfError

_HEADER_SIZE = 24
#: The header of those that also have CO-RE relocations.
_FULL_HEADER_SIZE = 32
_COLUMN_BITS = 10

_Record = TypeVar("_Record")


class CoreKind(IntEnum):
    """What a CO-RE relocation asks about the type it names, in the running kernel."""

    FIELD_BYTE_OFFSET = 0
    FIELD_BYTE_SIZE = 1
    FIELD_EXISTS = 2
    FIELD_SIGNED = 3
    FIELD_LSHIFT_U64 = 4
    FIELD_RSHIFT_U64 = 5
    TYPE_ID_LOCAL = 6
    TYPE_ID_TARGET = 7
    TYPE_EXISTS = 8
    TYPE_SIZE = 9
    ENUMVAL_EXISTS = 10
    ENUMVAL_VALUE = 11
    TYPE_MATCHES = 12


@dataclass(frozen=True, slots=True)
class FunctionInfo:
    """The function that starts at ``slot`` has the BTF type ``type_id`` (a FUNC)."""

    slot: int
    type_id: int


@dataclass(frozen=True, slots=True)
class LineInfo:
    """At ``slot`` starts what ``file`` says at ``line`` and ``column``; ``text`` is the text of that line."""

    slot: int
    file: str
    text: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class CoreRelocation:
    """The immediate or offset of the instruction at ``slot`` depends on the target kernel's types.

    ``type_id`` is the type in the object's own BTF, ``access`` the path into it (``"0:1:2"``: indices of members and
    elements), or the index of an enumerator, or ``"0"`` for the type itself.
    """

    slot: int
    kind: CoreKind
    type_id: int
    access: str


@dataclass(frozen=True, slots=True)
class BtfExt:
    """The records of each ELF section, in the order of the file."""

    functions: Mapping[str, tuple[FunctionInfo, ...]] = field(default_factory=lambda: MappingProxyType({}))
    lines: Mapping[str, tuple[LineInfo, ...]] = field(default_factory=lambda: MappingProxyType({}))
    core_relocations: Mapping[str, tuple[CoreRelocation, ...]] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def parse(cls, data: bytes, btf: Btf) -> BtfExt:
        """Read a ``.BTF.ext`` section; ``btf`` has its strings."""
        order = byte_order_of(data, MAGIC, "BTF.ext")
        if len(data) < _HEADER_SIZE:
            raise BtfError(f"BTF.ext is {len(data)} bytes long, too short for its header of {_HEADER_SIZE}")
        prefix = "<" if order == "little" else ">"
        version, _, size = struct.unpack_from(prefix + "BBI", data, 2)
        if version != 1:
            raise BtfError(f"BTF.ext version {version} is unknown, only version 1 is", offset=2)
        if not _HEADER_SIZE <= size <= len(data):
            raise BtfError(f"the header of BTF.ext claims {size} bytes of {len(data)}", offset=4)
        has_core = size >= _FULL_HEADER_SIZE
        where = struct.unpack_from(prefix + ("6I" if has_core else "4I"), data, 8)
        reader = _Reader(data, size, prefix, btf)
        text = cache(btf.string)

        def function(slot: int, words: Sequence[int]) -> FunctionInfo:
            return FunctionInfo(slot, words[1])

        def line(slot: int, words: Sequence[int]) -> LineInfo:
            place = words[3]
            column = place & (1 << _COLUMN_BITS) - 1
            return LineInfo(slot, text(words[1]), text(words[2]), place >> _COLUMN_BITS, column)

        def core(slot: int, words: Sequence[int]) -> CoreRelocation:
            try:
                kind = CoreKind(words[3])
            except ValueError:
                raise BtfError(f"CO-RE relocation kind {words[3]} is unknown", instruction=slot) from None
            return CoreRelocation(slot, kind, words[1], text(words[2]))

        return cls(
            functions=reader.records("function", where[0], where[1], 2, function),
            lines=reader.records("line", where[2], where[3], 4, line),
            core_relocations=reader.records("CO-RE", where[4], where[5], 4, core) if has_core else {},
        )

    def encode(self, string: Callable[[str], int], byte_order: ByteOrder = "little") -> bytes:
        """The bytes of the section; ``string`` (as `BtfBuilder.string`) gives the offset of a text in the BTF."""
        blocks = [
            _block(self.functions, string, lambda item: (8 * item.slot, item.type_id), 2),
            _block(
                self.lines,
                string,
                lambda item: (
                    8 * item.slot,
                    string(item.file),
                    string(item.text),
                    item.line << _COLUMN_BITS | item.column,
                ),
                4,
            ),
            _block(
                self.core_relocations,
                string,
                lambda item: (8 * item.slot, item.type_id, string(item.access), int(item.kind)),
                4,
            ),
        ]
        prefix = "<" if byte_order == "little" else ">"
        header, start = [], 0
        for block in blocks:
            header += [start, 4 * len(block)]
            start += 4 * len(block)
        words = [word for block in blocks for word in block]
        return struct.pack(prefix + f"HBBI6I{len(words)}I", MAGIC, 1, 0, _FULL_HEADER_SIZE, *header, *words)


def _block(
    groups: Mapping[str, tuple[_Record, ...]],
    string: Callable[[str], int],
    words_of: Callable[[_Record], tuple[int, ...]],
    width: int,
) -> list[int]:
    if not groups:
        return []
    words = [4 * width]
    for section, records in groups.items():
        words += (string(section), len(records))
        for record in records:
            words += words_of(record)
    return words


class _Reader:
    """Takes the three blocks apart, which are laid out alike: a record size, then sections of records."""

    def __init__(self, data: bytes, start: int, prefix: str, btf: Btf) -> None:
        self.data, self.start, self.prefix, self.btf = data, start, prefix, btf

    def records(
        self,
        what: str,
        offset: int,
        length: int,
        width: int,
        make: Callable[[int, Sequence[int]], _Record],
    ) -> Mapping[str, tuple[_Record, ...]]:
        """The records of one block by section; each is at least ``width`` words, the first its byte position."""
        if not length:
            return MappingProxyType({})
        at, end = self.start + offset, self.start + offset + length
        if end > len(self.data) or length < 4:
            raise BtfError(
                f"the {what} information ends at byte {end} of {len(self.data)}; the data is cut or damaged"
            )
        (size,) = struct.unpack_from(self.prefix + "I", self.data, at)
        if size < 4 * width or size % 4:
            raise BtfError(f"a {what} record of {size} bytes is impossible, {4 * width} are needed", offset=at)
        at += 4
        found: dict[str, list[_Record]] = {}
        layout = struct.Struct(f"{self.prefix}{width}I{size - 4 * width}x")
        while at < end:
            if at + 8 > end:
                raise BtfError(f"the {what} information is cut in the head of a section", offset=at)
            name, count = struct.unpack_from(self.prefix + "II", self.data, at)
            at += 8
            if at + count * size > end:
                raise BtfError(f"the {what} information claims {count} records, for which it is too short", offset=at)
            records = found.setdefault(self.btf.string(name), [])
            for words in layout.iter_unpack(self.data[at : at + count * size]):
                if words[0] % 8:
                    raise BtfError(f"a {what} record speaks of byte {words[0]}, inside an instruction", offset=at)
                records.append(make(words[0] // 8, words))
            at += count * size
        return MappingProxyType({section: tuple(records) for section, records in found.items()})
