"""A program type: its context, the memory of one run, and what its return values mean.

One :class:`ProgramKind` a type. It works without a kernel, without LLVM and for any engine: the machine gives it the
addresses of a native context and of a packet buffer, both real memory; ``enter`` lays one input out in them, the
program runs, ``leave`` reads what came of it.

The layout is that of the kernel's BPF_PROG_TEST_RUN, so that a program finds here what it would find there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from skep.errors import RequestError
from skep.objects.kinds import AttachType, ProgramType
from skep.programs.field import ContextField


@dataclass(frozen=True, slots=True)
class Output:
    """What a run left behind: the packet (or memory) and the context as a caller of BPF_PROG_TEST_RUN gets them."""

    packet: bytes
    context: bytes


@dataclass(frozen=True)
class ProgramKind:
    """What one program type is; each family is a subclass that knows the memory of a run.

    ``context_name`` and ``context_size`` (bytes) are the structure that programs see, ``native_size`` (bytes) is
    that of the one in memory; both sizes are 0 where r1 points at plain memory. ``given_name`` and ``given_size``
    are the structure that the caller may pass as context. ``smallest_input`` and ``largest_input`` are lengths in
    bytes. ``return_names`` maps a return value, as a signed 32-bit number, to the name that C programs write.
    """

    type: ProgramType
    label: str
    context_name: str = ""
    context_size: int = 0
    native_size: int = 0
    given_name: str = ""
    given_size: int = 0
    fields: tuple[ContextField, ...] = ()
    attach_fields: Mapping[str, frozenset[AttachType]] = field(default_factory=lambda: MappingProxyType({}))
    return_names: Mapping[int, str] = field(default_factory=lambda: MappingProxyType({}))
    smallest_input: int = 0
    largest_input: int = 1 << 16
    _by_offset: Mapping[int, ContextField] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_offset = {at: row for row in self.fields for at in range(row.offset, row.offset + row.size)}
        object.__setattr__(self, "_by_offset", MappingProxyType(by_offset))

    @property
    def takes_memory(self) -> bool:
        """Whether r1 is plain memory that the program reads and writes as it likes, and r2 its length in bytes."""
        return self.native_size == 0

    def field_at(
        self, offset: int, size: int, *, write: bool = False, attach_type: AttachType | None = None
    ) -> ContextField | None:
        """The field that an access of ``size`` bytes at ``offset`` means, or None where the kernel refuses it.

        A field that only some attach types have (``attach_fields``) is refused to the others.
        """
        row = self._by_offset.get(offset)
        if row is None or not row.permits(offset, size, write=write):
            return None
        needed = self.attach_fields.get(row.name)
        return row if needed is None or attach_type in needed else None

    def field_named(self, name: str) -> ContextField:
        """The row of a field. Raises RequestError for a name that the context does not have."""
        for row in self.fields:
            if row.name == name:
                return row
        raise RequestError(f"struct {self.context_name} of a {self.label} program has no field {name}")

    def return_name(self, value: int) -> str | None:
        """The name of a return value (only its lower 32 bits count), or None where it has none."""
        value &= 0xFFFFFFFF
        return self.return_names.get(value - (1 << 32) if value >> 31 else value)

    def check_length(self, length: int) -> None:
        """Raise RequestError unless an input may have ``length`` bytes."""
        if not self.smallest_input <= length <= self.largest_input:
            raise RequestError(
                f"a program of type {self.label} takes inputs of {self.smallest_input} to {self.largest_input} "
                f"bytes, and this one has {length}"
            )

    def buffer_size(self, length: int) -> int:
        """How many bytes of packet buffer an input of ``length`` bytes needs, with the room before and behind it.

        Raises RequestError for a length that the type does not take.
        """
        raise NotImplementedError

    def arguments(self, context: int, buffer: int, length: int) -> tuple[int, int]:
        """What r1 and r2 are at the start; ``context`` and ``buffer`` are addresses, ``length`` is in bytes."""
        return context, 0

    def enter(self, context: int, buffer: int, data: bytes, given: bytes = b"") -> None:
        """Lay one input out: ``data`` in the packet buffer, and the native context that describes it.

        ``context`` is the address of ``native_size`` bytes aligned to 8, ``buffer`` that of
        ``buffer_size(len(data))`` bytes aligned to 8; what they held before does not matter. ``given`` is the
        caller's context, ``ctx_in`` of BPF_PROG_TEST_RUN: shorter than its structure means zeros behind it. Raises
        RequestError for an input or a field of the context that cannot be given.
        """
        raise NotImplementedError

    def leave(self, context: int, buffer: int, length: int, given: bytes = b"") -> Output:
        """What the run left behind, of an input of ``length`` bytes with the context ``given``."""
        raise NotImplementedError

    def packet_bounds(self, context: int, buffer: int, length: int) -> tuple[int, int]:
        """The addresses that a program may touch now: first byte of metadata or packet, one past the last byte."""
        raise NotImplementedError

    def complete(self, given: bytes) -> bytes:
        """``given`` with zeros up to the size of its structure; RequestError if there is more, and it is not zero."""
        if any(given[self.given_size :]):
            structure = f"struct {self.given_name}" if self.given_name else f"the context of a {self.label} program"
            raise RequestError(
                f"{structure} has {self.given_size} bytes, and the context given has {len(given)}, "
                f"of which those behind it are not zero"
            )
        return given[: self.given_size].ljust(self.given_size, b"\0")
