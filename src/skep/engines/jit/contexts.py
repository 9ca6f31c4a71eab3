"""Accesses to a program's context: the structure that programs see, translated to the one in memory.

The tables are those of :mod:`skep.programs`; what they leave open is decided as they say (``programs/field.py``).
"""

from __future__ import annotations

from dataclasses import dataclass

from skep.engines.jit import accesses
from skep.engines.jit.code import Code
from skep.engines.jit.kinds import MEMORY, Kind
from skep.engines.jit.values import Value
from skep.errors import LoadError
from skep.objects.kinds import AttachType
from skep.programs import ContextField, FieldKind, ProgramKind


@dataclass(frozen=True, slots=True)
class Context:
    """The context of one program."""

    kind: ProgramKind
    attach_type: AttachType | None

    def load_kind(self, slot: int, offset: int | None, size: int) -> Kind:
        """What a register holds after loading ``size`` bytes at ``offset``. Raises LoadError if it must not."""
        row = self._field(slot, offset, size, write=False)
        return 8 * size if row.kind is FieldKind.SCALAR else MEMORY

    def load(self, code: Code, slot: int, base: Value, start: int, offset: int, size: int) -> Value:
        """Load ``size`` bytes at ``offset``; ``base`` is the address of the context plus ``start``."""
        row = self._field(slot, offset, size, write=False)
        if row.kind is not FieldKind.SCALAR:
            address = accesses.pointer_at(code, base, row.native_offset - start)
            return Value(address=code.emit(f"load ptr, ptr {address}, align 8"))
        native = row.native_offset + offset - row.offset
        address = accesses.pointer_at(code, base, native - start)
        return accesses.load(code, address, size, size, 8 * size)

    def store(self, code: Code, slot: int, base: Value, start: int, offset: int, size: int, value: Value) -> None:
        """Store the lower bytes of ``value``."""
        row = self._field(slot, offset, size, write=True)
        native = row.native_offset + offset - row.offset
        size = min(size, row.native_size)
        address = accesses.pointer_at(code, base, native - start)
        if row.ignored_from is not None:
            old = accesses.load(code, address, size, size, 8 * size)
            ignored = code.emit(f"icmp uge i32 {code.word(value)}, {row.ignored_from}")
            chosen = code.emit(f"select i1 {ignored}, i32 {code.word(old)}, i32 {code.word(value)}")
            value = Value(word=chosen)
        accesses.store(code, address, size, size, value)

    def _field(self, slot: int, offset: int | None, size: int, *, write: bool) -> ContextField:
        if offset is None:
            raise LoadError("the context is accessed at an offset that is not constant", instruction=slot)
        row = self.kind.field_at(offset, size, write=write, attach_type=self.attach_type)
        if row is None:
            verb = "stores" if write else "loads"
            raise LoadError(
                f"{verb} {size} bytes at offset {offset} of struct {self.kind.context_name}, "
                f"where programs of type {self.kind.label} must not",
                instruction=slot,
            )
        return row
