"""Objects that the kernel keeps in a program's stack: dynptrs, open-coded iterators, saved interrupt flags.

Each fills whole slots. Programs hand their address to helpers and kernel functions and otherwise leave them alone: a
store over one makes it plain bytes again. A value here is what is known of one object, the same in each of its slots
but for ``position``, which says the how-manyth slot this is (0 at the lowest address).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum


class DynptrType(Enum):
    """What memory a dynptr stands for."""

    LOCAL = "local"
    RINGBUF = "ringbuf"
    SKB = "skb"
    XDP = "xdp"
    SKB_META = "skb_meta"

    # Members are compared by identity; the hash of an address is cheaper than that of a name.
    __hash__ = object.__hash__

    @property
    def is_packet(self) -> bool:
        """Whether its memory is that of a packet, which helpers may move."""
        return self in (DynptrType.SKB, DynptrType.XDP, DynptrType.SKB_META)


@dataclass(frozen=True, slots=True)
class Dynptr:
    """A dynptr: ``id`` tells it from all others, ``reference`` is what has to be given back with it, or 0."""

    type: DynptrType
    id: int
    reference: int = 0
    position: int = 0


class Progress(Enum):
    """How far an iterator is: there may be more elements, or it said that there are none."""

    ACTIVE = "active"
    DRAINED = "drained"

    __hash__ = object.__hash__


@dataclass(frozen=True, slots=True)
class Iterator:
    """An open-coded iterator: ``name`` is its structure without ``bpf_`` (``iter_num``).

    ``reference`` has to be given back by destroying it. ``depth`` counts the elements taken on this path, only to
    tell rounds apart. Of one that walks what RCU protects, ``in_rcu`` says so and ``is_stale`` that the read section
    in which it was made is over.
    """

    name: str
    reference: int
    slots: int
    progress: Progress = Progress.ACTIVE
    depth: int = 0
    in_rcu: bool = False
    is_stale: bool = False
    position: int = 0


@dataclass(frozen=True, slots=True)
class IrqFlag:
    """Saved interrupt flags: ``reference`` is their id, ``by_lock`` whether a lock saved them."""

    reference: int
    by_lock: bool = False
    position: int = 0


StackObject = Dynptr | Iterator | IrqFlag

#: How many slots a dynptr takes.
DYNPTR_SLOTS = 2


def parts(whole: StackObject, count: int) -> list[StackObject]:
    """``whole`` as it is in each of its ``count`` slots, lowest address first."""
    return [replace(whole, position=position) for position in range(count)]
