"""Pointers that may be null: what a comparison with null says, for every register and slot with the same id."""

from __future__ import annotations

from typing import Final

from skep.objects.kinds import MapType
from skep.verifier.kernel.kernel_types import KernelType
from skep.verifier.maps.facts import MapFacts
from skep.verifier.maps.map_fields import LOCKS, fields_of
from skep.verifier.states.register import (
    ALLOCATED,
    MAYBE_NULL,
    NULL,
    TRUSTED,
    UNTRUSTED,
    ZERO,
    Kind,
    Register,
    register,
)
from skep.verifier.states.slots import slot
from skep.verifier.states.state import State

_MAP_VALUE: Final = Kind.MAP_VALUE
_OBJECT: Final = Kind.OBJECT
_TYPE_SOCKHASH: Final = MapType.SOCKHASH
_TYPE_SOCKMAP: Final = MapType.SOCKMAP
_TYPE_XSKMAP: Final = MapType.XSKMAP


#: Fields of a map's value through which Linux calls a function later, for which it has to know the map.
_CALLED_LATER: Final = ("bpf_timer", "bpf_wq", "bpf_task_work")

_NEVER_NULL = frozenset(
    {Kind.SOCKET, Kind.TCP_SOCK, Kind.MAP_VALUE, Kind.MAP_KEY, Kind.SOCK_COMMON, Kind.MAP, Kind.MEMORY, Kind.OBJECT}
)


def known_not_null(pointer: Register) -> bool:
    """Whether a pointer is known not to be null, so that a comparison with null has one answer."""
    if pointer.flags & MAYBE_NULL or pointer.kind not in _NEVER_NULL:
        return False
    if pointer.kind is _OBJECT:
        return bool(pointer.flags & TRUSTED or pointer.reference)
    return not pointer.flags & UNTRUSTED


def not_null(pointer: Register) -> Register:
    """What a pointer is once it is known not to be null."""
    flags = pointer.flags & ~MAYBE_NULL
    kind, subject, id, extent = pointer.kind, pointer.subject, pointer.id, pointer.extent
    if kind is _MAP_VALUE and isinstance(subject, MapFacts):
        if subject.inner is not None:
            kind, subject = Kind.MAP, subject.inner
            # Linux tells inner maps from each other only where something in their values has to be told from that
            # in others.
            extent = id if subject.holds(*_CALLED_LATER) else 0
        elif subject.type is _TYPE_XSKMAP:
            # Linux tells sockets of a map from those that were found otherwise, so the map stays their subject.
            kind = Kind.XDP_SOCK
        elif subject.type in (_TYPE_SOCKMAP, _TYPE_SOCKHASH):
            kind = Kind.SOCKET
    return register(kind, ZERO, pointer.offset, id, pointer.reference, extent, pointer.frame, flags, subject)


def keeps_id(pointer: Register) -> bool:
    """Whether the id of a pointer matters beyond nullness: a spin lock may lie where it points."""
    subject = pointer.subject
    if isinstance(subject, MapFacts):
        return pointer.kind is _MAP_VALUE and subject.has_lock
    if pointer.kind is _OBJECT and pointer.flags & ALLOCATED:
        return isinstance(subject, KernelType) and fields_of(subject).first(*LOCKS) is not None
    return False


def settle_null(state: State, index: int, *, is_null: bool) -> None:
    """The pointer in a register of the running function is, or is not, null; so are all with its id."""
    pointer = state.frames[-1].registers[index]
    id, reference = pointer.id, pointer.reference
    if is_null and reference and reference == id:
        state.references = tuple(one for one in state.references if one.id != reference)

    def settled(one: Register) -> Register:
        if not one.flags & MAYBE_NULL or one.id != id:
            return one
        if is_null:
            return NULL
        known = not_null(one)
        if keeps_id(known):
            return known
        return register(
            known.kind,
            known.scalar,
            known.offset,
            0,
            known.reference,
            known.extent,
            known.frame,
            known.flags,
            known.subject,
        )

    for frame in state.frames:
        registers = frame.registers
        for number, one in enumerate(registers):
            if one.flags & MAYBE_NULL:
                registers[number] = settled(one)
        for number, spilled in enumerate(frame.slots):
            if spilled.register.flags & MAYBE_NULL:
                frame.slots[number] = slot(spilled.bytes, settled(spilled.register))
