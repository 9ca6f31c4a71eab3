"""What is known of one register: that it holds a number, or a pointer of some kind into something.

Registers are immutable and interned, so that copying a state copies references and comparing two registers mostly
compares addresses. What precision tracking marks is kept on checkpoints instead (``pruning``): it would make
registers different that are otherwise the same.

Names of kinds and modifiers, as messages print them, are those of the kernel's log (Linux 6.18, observed).
"""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from typing import Final

from skep.verifier.numbers.scalar import UNKNOWN, Scalar, constant

#: The number zero, the variable part of a pointer that nothing unknown was added to.
ZERO: Final = constant(0)

#: How many registers are remembered; forgetting them costs time, never correctness.
_POOL_SIZE: Final = 1 << 17


class Kind(Enum):
    """What a register holds; the value is how messages call it."""

    NOT_INITIALISED = "?"
    SCALAR = "scalar"
    CONTEXT = "ctx"
    MAP = "map_ptr"
    MAP_VALUE = "map_value"
    MAP_KEY = "map_key"
    STACK = "fp"
    PACKET = "pkt"
    PACKET_META = "pkt_meta"
    PACKET_END = "pkt_end"
    FLOW_KEYS = "flow_keys"
    SOCKET = "sock"
    SOCK_COMMON = "sock_common"
    TCP_SOCK = "tcp_sock"
    XDP_SOCK = "xdp_sock"
    TRACEPOINT_BUFFER = "tp_buffer"
    OBJECT = "ptr_"
    MEMORY = "mem"
    BUFFER = "buf"
    FUNCTION = "func"
    DYNPTR = "dynptr_ptr"
    ARENA = "arena"

    # Members are compared by identity; the hash of an address is cheaper than that of a name.
    __hash__ = object.__hash__


#: Modifiers of a kind.
MAYBE_NULL: Final = 1 << 0
READ_ONLY: Final = 1 << 1
RINGBUF: Final = 1 << 2
UNTRUSTED: Final = 1 << 3
TRUSTED: Final = 1 << 4
RCU: Final = 1 << 5
PERCPU: Final = 1 << 6
USER: Final = 1 << 7
ALLOCATED: Final = 1 << 8
#: Of a scalar: a constant (``offset``) was added since it got its id, in 64 bits or in 32.
SHIFTED_64: Final = 1 << 9
SHIFTED_32: Final = 1 << 11
SHIFTED: Final = SHIFTED_64 | SHIFTED_32
#: Of an allocated object: something else owns it, a list or a tree.
NON_OWNING: Final = 1 << 10
#: Of memory: a slice of a packet, void once the packet may have moved.
PACKET_SLICE: Final = 1 << 12

_SCALAR: Final = Kind.SCALAR
_NOT_INITIALISED: Final = Kind.NOT_INITIALISED

_PREFIXES: Final = (
    (READ_ONLY, "rdonly_"),
    (RINGBUF, "ringbuf_"),
    (USER, "user_"),
    (PERCPU, "percpu_"),
    (RCU, "rcu_"),
    (UNTRUSTED, "untrusted_"),
    (TRUSTED, "trusted_"),
)

_Key = tuple[Kind, Scalar, int, int, int, int, int, int, object]


class Register:
    """What one register, or a spilled one, holds.

    ``scalar`` is the number, or the variable part of a pointer's offset; ``offset`` the fixed part (of a SHIFTED
    scalar what was added). ``id`` connects registers that hold the same number, or the same pointer of unknown
    nullness, or the same unknown part of a packet offset; 0 is no id. ``reference`` is the acquired reference that
    the pointer stands for, or 0. ``extent`` is, of a packet pointer, how many bytes from it are known to be there; of
    memory its size; of maps the id that tells inner maps apart. ``frame`` is that of a stack pointer. ``subject`` is
    the map, function or type meant.
    """

    __slots__ = ("extent", "flags", "frame", "id", "kind", "offset", "reference", "scalar", "subject")

    def __init__(
        self,
        kind: Kind,
        scalar: Scalar,
        offset: int,
        id: int,
        reference: int,
        extent: int,
        frame: int,
        flags: int,
        subject: object,
    ) -> None:
        self.kind = kind
        self.scalar = scalar
        self.offset = offset
        self.id = id
        self.reference = reference
        self.extent = extent
        self.frame = frame
        self.flags = flags
        self.subject = subject

    @property
    def maybe_null(self) -> bool:
        """Whether it may be null."""
        return bool(self.flags & MAYBE_NULL)

    @property
    def is_pointer(self) -> bool:
        """Whether it is anything but a number."""
        return self.kind is not _SCALAR and self.kind is not _NOT_INITIALISED

    @property
    def is_zero(self) -> bool:
        """Whether it is the number 0."""
        return self.kind is _SCALAR and not self.scalar.mask and not self.scalar.value

    @property
    def type_name(self) -> str:
        """What messages call it: modifiers, kind and whether it may be null."""
        return _type_name(self.kind, self.flags)

    def __repr__(self) -> str:
        return (
            f"<{self.type_name} {self.scalar!r} off={self.offset} id={self.id} ref={self.reference} "
            f"extent={self.extent}>"
        )


@lru_cache(maxsize=1 << 10)
def _type_name(kind: Kind, flags: int) -> str:
    name = "".join([text for flag, text in _PREFIXES if flags & flag]) + str(kind.value)
    if flags & MAYBE_NULL:
        name += "or_null_" if kind is Kind.OBJECT else "_or_null"
    return name


_pool: Final[dict[_Key, Register]] = {}


def register(
    kind: Kind,
    scalar: Scalar = ZERO,
    offset: int = 0,
    id: int = 0,
    reference: int = 0,
    extent: int = 0,
    frame: int = 0,
    flags: int = 0,
    subject: object = None,
) -> Register:
    """The register with these facts: interned, unless it has an id, which is hardly ever given twice."""
    if id:
        return Register(kind, scalar, offset, id, reference, extent, frame, flags, subject)
    key = (kind, scalar, offset, id, reference, extent, frame, flags, subject)
    found = _pool.get(key)
    if found is None:
        if len(_pool) >= _POOL_SIZE:
            _pool.clear()
        found = _pool[key] = Register(*key)
    return found


NOTHING: Final = register(Kind.NOT_INITIALISED)

_numbers: Final[dict[Scalar, Register]] = {}


def number(value: Scalar, id: int = 0, flags: int = 0, offset: int = 0) -> Register:
    """A register that holds the number ``value``."""
    if id:
        return register(_SCALAR, value, offset, id, flags=flags)
    found = _numbers.get(value)
    if found is None:
        if len(_numbers) >= _POOL_SIZE:
            _numbers.clear()
        found = _numbers[value] = Register(_SCALAR, value, 0, 0, 0, 0, 0, 0, None)
    return found


ANY_NUMBER: Final = number(UNKNOWN)
NULL: Final = number(ZERO)


def at(base: Register, variable: Scalar, offset: int, id: int, extent: int) -> Register:
    """``base``, a pointer, moved: another variable part, fixed part, id and extent."""
    return register(base.kind, variable, offset, id, base.reference, extent, base.frame, base.flags, base.subject)


def with_extent(base: Register, extent: int) -> Register:
    """``base`` with another extent."""
    return at(base, base.scalar, base.offset, base.id, extent)


def with_scalar(base: Register, value: Scalar) -> Register:
    """``base`` with another number or variable part, all else as it was."""
    if base.scalar is value:
        return base
    return register(
        base.kind,
        value,
        base.offset,
        base.id,
        base.reference,
        base.extent,
        base.frame,
        base.flags,
        base.subject,
    )


def with_id(base: Register, id: int) -> Register:
    """``base`` with another id; without one, a scalar also forgets what was added to it."""
    if base.kind is _SCALAR:
        return number(base.scalar, id, base.flags if id else 0, base.offset if id else 0)
    return at(base, base.scalar, base.offset, id, base.extent)
