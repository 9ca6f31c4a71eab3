"""Short names for the arguments and results that helpers have, so that a row of the table is one line."""

from __future__ import annotations

from skep.objects.kinds import ProgramType
from skep.stdlib.prototype import (
    Argument,
    ArgumentFlag,
    ArgumentKind,
    Effect,
    HelperPrototype,
    Return,
    ReturnFlag,
    ReturnKind,
)

ANY = Argument(ArgumentKind.ANYTHING)
MAP = Argument(ArgumentKind.MAP)
KEY = Argument(ArgumentKind.MAP_KEY)
VALUE = Argument(ArgumentKind.MAP_VALUE)
VALUE_OUT = Argument(ArgumentKind.MAP_VALUE, ArgumentFlag.UNINITIALISED | ArgumentFlag.WRITE)
CTX = Argument(ArgumentKind.CONTEXT)
#: Memory of the size in the next argument: read, filled in, or read and written.
READ = Argument(ArgumentKind.MEMORY, ArgumentFlag.READ_ONLY)
OUT = Argument(ArgumentKind.MEMORY, ArgumentFlag.UNINITIALISED | ArgumentFlag.WRITE)
MODIFY = Argument(ArgumentKind.MEMORY, ArgumentFlag.WRITE)
SIZE = Argument(ArgumentKind.SIZE)
SIZE0 = Argument(ArgumentKind.SIZE_OR_ZERO)
ALLOCATION_SIZE = Argument(ArgumentKind.ALLOCATION_SIZE)
FUNCTION = Argument(ArgumentKind.FUNCTION)
STACK = Argument(ArgumentKind.STACK)
STRING = Argument(ArgumentKind.CONSTANT_STRING)
SPIN_LOCK = Argument(ArgumentKind.SPIN_LOCK)
TIMER = Argument(ArgumentKind.TIMER)
KPTR_PLACE = Argument(ArgumentKind.KPTR_PLACE)
RECORD = Argument(ArgumentKind.RINGBUF_MEMORY, ArgumentFlag.RELEASE)
SOCKET = Argument(ArgumentKind.SOCKET)
SOCK_COMMON = Argument(ArgumentKind.SOCK_COMMON)
SOCK = Argument(ArgumentKind.BTF_SOCK_COMMON)
OBJECT = Argument(ArgumentKind.BTF_ID)
PERCPU = Argument(ArgumentKind.PERCPU_BTF_ID)
DYNPTR = Argument(ArgumentKind.DYNPTR, ArgumentFlag.READ_ONLY)
DYNPTR_LOCAL_OUT = Argument(ArgumentKind.DYNPTR, ArgumentFlag.LOCAL | ArgumentFlag.UNINITIALISED | ArgumentFlag.WRITE)
DYNPTR_RINGBUF_OUT = Argument(
    ArgumentKind.DYNPTR, ArgumentFlag.RINGBUF | ArgumentFlag.UNINITIALISED | ArgumentFlag.WRITE
)
DYNPTR_RINGBUF = Argument(ArgumentKind.DYNPTR, ArgumentFlag.RINGBUF | ArgumentFlag.RELEASE)

INTEGER = Return(ReturnKind.INTEGER)
VOID = Return(ReturnKind.VOID)
MAP_VALUE = Return(ReturnKind.MAP_VALUE)
MAP_VALUE_OR_NULL = Return(ReturnKind.MAP_VALUE, ReturnFlag.MAYBE_NULL)
SOCKET_OR_NULL = Return(ReturnKind.SOCKET, ReturnFlag.MAYBE_NULL)
TCP_SOCK_OR_NULL = Return(ReturnKind.TCP_SOCK, ReturnFlag.MAYBE_NULL)
SOCK_COMMON_OR_NULL = Return(ReturnKind.SOCK_COMMON, ReturnFlag.MAYBE_NULL)
MEMORY_OR_NULL = Return(ReturnKind.MEMORY, ReturnFlag.MAYBE_NULL)
RECORD_OR_NULL = Return(ReturnKind.MEMORY, ReturnFlag.MAYBE_NULL | ReturnFlag.RINGBUF)
PERCPU_THERE = Return(ReturnKind.MEMORY_OR_BTF_ID, ReturnFlag.READ_ONLY)
PERCPU_OR_NULL = Return(ReturnKind.MEMORY_OR_BTF_ID, ReturnFlag.READ_ONLY | ReturnFlag.MAYBE_NULL)
OBJECT_OR_NULL = Return(ReturnKind.BTF_ID, ReturnFlag.MAYBE_NULL)

GPL = Effect.GPL
SLEEPS = Effect.SLEEPS
PACKET = Effect.PACKET_ACCESS
CHANGES = Effect.CHANGES_PACKET
ACQUIRES = Effect.ACQUIRES


def struct(name: str) -> Argument:
    """A kernel object of type ``struct name``."""
    return Argument(ArgumentKind.BTF_ID, type=name)


def read(size: int) -> Argument:
    """Memory of ``size`` bytes that the helper reads."""
    return Argument(ArgumentKind.MEMORY, ArgumentFlag.READ_ONLY, size)


def out(size: int) -> Argument:
    """Memory of ``size`` bytes, aligned to as many, that the helper fills in."""
    flags = ArgumentFlag.UNINITIALISED | ArgumentFlag.WRITE | ArgumentFlag.ALIGNED
    return Argument(ArgumentKind.MEMORY, flags, size)


def modify(size: int) -> Argument:
    """Memory of ``size`` bytes, aligned to as many, that the helper reads and writes."""
    return Argument(ArgumentKind.MEMORY, ArgumentFlag.WRITE | ArgumentFlag.ALIGNED, size)


def returns_struct(name: str, *, trusted: bool = False, never_null: bool = False) -> Return:
    """A kernel object of type ``struct name``: trusted, or said to be there, or else possibly null."""
    flags = ReturnFlag.TRUSTED if trusted else ReturnFlag.NONE if never_null else ReturnFlag.MAYBE_NULL
    return Return(ReturnKind.BTF_ID, flags, name)


def row(
    number: int,
    declaration: str,
    returns: Return,
    *arguments: Argument,
    effects: Effect = Effect.NONE,
    programs: tuple[ProgramType, ...] = (),
) -> HelperPrototype:
    """A row: ``declaration`` is the name with the names of the parameters, ``map_lookup_elem(map, key)``."""
    name, _, rest = declaration.partition("(")
    parameters = tuple(part.strip() for part in rest.rstrip(")").split(",") if part.strip())
    return HelperPrototype(
        number, name, parameters, arguments, returns, effects, frozenset(programs) if programs else None
    )
