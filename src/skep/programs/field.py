"""One field of a program's context: where programs see it, where it lies in memory, and what they may do with it.

A program sees a small stable structure (``struct xdp_md``); memory holds another one (``skep.memory.contexts``). A
field joins the two. How an engine carries out an access of ``size`` bytes at ``offset`` that ``field_at`` permits:

- a scalar is read as ``size`` bytes at ``native_offset + (offset - field.offset)``, zero-extended;
- a scalar is written as ``min(size, native_size)`` bytes at the same place, unless the 32-bit value written is
  ``ignored_from`` or more, in which case nothing is stored;
- every other kind is a pointer: 8 bytes at ``native_offset``, however narrow the program's view of it is.

Source of facts: what the verifier of Linux 6.18 accepts, access by access (``tests/programs`` asks a running kernel).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class FieldKind(Enum):
    """What a register holds after reading a field."""

    SCALAR = "scalar"
    #: First byte of the packet; the program compares with PACKET_END before it reads.
    PACKET = "packet"
    #: One past the last byte of the packet.
    PACKET_END = "packet end"
    #: First byte of the metadata that lies right before the packet.
    PACKET_META = "packet metadata"
    #: ``struct bpf_flow_keys``, which a flow dissector fills in.
    FLOW_KEYS = "flow keys"
    #: ``struct bpf_sock`` with the fields common to all sockets, or null.
    SOCKET = "socket"


#: Sizes in bytes that an access may have.
Sizes = frozenset[int]
NO_SIZES: Sizes = frozenset()


@dataclass(frozen=True, slots=True)
class ContextField:
    """A row of a context's table. Offsets and sizes are in bytes.

    ``reads`` and ``writes`` are the sizes that a load or store may have; each must be aligned to its own size,
    counted from the start of the context. A field with more than one element (``cb``) is one row.
    """

    name: str
    offset: int
    size: int
    native_offset: int
    native_size: int
    kind: FieldKind = FieldKind.SCALAR
    reads: Sizes = NO_SIZES
    writes: Sizes = NO_SIZES
    ignored_from: int | None = None

    @property
    def readable(self) -> bool:
        """Whether any load of the field is permitted."""
        return bool(self.reads)

    @property
    def writable(self) -> bool:
        """Whether any store to the field is permitted."""
        return bool(self.writes)

    def permits(self, offset: int, size: int, *, write: bool = False) -> bool:
        """Whether ``size`` bytes at ``offset`` of the context are this field's and may be loaded (or stored)."""
        inside = self.offset <= offset and offset + size <= self.offset + self.size
        return inside and offset % size == 0 and size in (self.writes if write else self.reads)
