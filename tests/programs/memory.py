"""Context and packet buffer of one run, in memory of their own."""

from __future__ import annotations

import ctypes

from skep.programs import ContextField, FieldKind, Output, ProgramKind


class Memory:
    """One input laid out; both pieces of memory held other bytes before."""

    def __init__(self, kind: ProgramKind, data: bytes, given: bytes = b"") -> None:
        self.kind, self.length, self.given = kind, len(data), given
        size = kind.buffer_size(len(data))
        self.context_memory = ctypes.create_string_buffer(b"\xaa" * (kind.native_size + 8))
        self.buffer_memory = ctypes.create_string_buffer(b"\xbb" * size, size)
        self.context = ctypes.addressof(self.context_memory)
        self.buffer = ctypes.addressof(self.buffer_memory)
        kind.enter(self.context, self.buffer, data, given)

    def read(self, row: ContextField, size: int) -> int:
        """A field as a program reads it."""
        width = size if row.kind is FieldKind.SCALAR else 8
        return int.from_bytes(ctypes.string_at(self.context + row.native_offset, width), "little")

    def field(self, name: str) -> int:
        """A field of at most 8 bytes by its name."""
        row = self.kind.field_named(name)
        return self.read(row, row.size)

    def leave(self) -> Output:
        """What the run left behind."""
        return self.kind.leave(self.context, self.buffer, self.length, self.given)
