"""What a helper takes, returns, needs and does: the values that rows of the prototype table are made of.

The vocabulary is that of the kernel's verifier (its argument and return types), so that a rule found in its
documentation or seen in its log can be looked up here. Source: the BTF of Linux 6.18 for the vocabulary; for the rows
see ``prototypes``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, Flag, auto

from skep.objects.kinds import ProgramType


class ArgumentKind(Enum):
    """What a helper wants in a register."""

    ANYTHING = "any initialised value"
    MAP = "constant map pointer"
    MAP_KEY = "pointer to a key of the map"
    MAP_VALUE = "pointer to a value of the map"
    MEMORY = "pointer to memory"
    SIZE = "size of the memory before it, not zero"
    SIZE_OR_ZERO = "size of the memory before it"
    ALLOCATION_SIZE = "constant size of the memory returned"
    CONTEXT = "context"
    FUNCTION = "function"
    STACK = "pointer to the stack"
    CONSTANT_STRING = "constant string in a read-only map"
    SPIN_LOCK = "bpf_spin_lock in a map value or allocated object"
    TIMER = "bpf_timer in a map value"
    KPTR_PLACE = "field that holds a kernel pointer"
    DYNPTR = "dynptr"
    RINGBUF_MEMORY = "record of a ring buffer"
    SOCKET = "full socket"
    SOCK_COMMON = "socket as programs see it"
    BTF_SOCK_COMMON = "socket as programs see it or as a kernel object"
    BTF_ID = "kernel object"
    PERCPU_BTF_ID = "per-CPU kernel variable"


class ArgumentFlag(Flag):
    """What else holds of an argument."""

    NONE = 0
    #: A null pointer will do.
    MAYBE_NULL = auto()
    #: The memory need not be initialised; the helper fills it in.
    UNINITIALISED = auto()
    #: The helper reads the memory only, so that it may be read-only.
    READ_ONLY = auto()
    #: The helper writes the memory.
    WRITE = auto()
    #: The memory must be aligned to its size.
    ALIGNED = auto()
    #: The reference that the register holds is given up.
    RELEASE = auto()
    #: Of a dynptr: it is or will be one over local memory, or over a ring buffer.
    LOCAL = auto()
    RINGBUF = auto()


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument. ``size`` (bytes) is that of memory of a fixed size, else 0; ``type`` a kernel structure."""

    kind: ArgumentKind
    flags: ArgumentFlag = ArgumentFlag.NONE
    size: int = 0
    type: str = ""

    @property
    def maybe_null(self) -> bool:
        """Whether a null pointer is accepted."""
        return ArgumentFlag.MAYBE_NULL in self.flags

    def or_null(self) -> Argument:
        """The same, or null."""
        return replace(self, flags=self.flags | ArgumentFlag.MAYBE_NULL)

    def released(self) -> Argument:
        """The same, given up by the call."""
        return replace(self, flags=self.flags | ArgumentFlag.RELEASE)


class ReturnKind(Enum):
    """What r0 holds after the call."""

    INTEGER = "integer"
    VOID = "nothing"
    MAP_VALUE = "map value"
    SOCKET = "full socket"
    TCP_SOCK = "TCP socket"
    SOCK_COMMON = "socket with the fields common to all"
    MEMORY = "memory"
    MEMORY_OR_BTF_ID = "memory or kernel object"
    BTF_ID = "kernel object"


class ReturnFlag(Flag):
    """What else holds of a return value."""

    NONE = 0
    MAYBE_NULL = auto()
    READ_ONLY = auto()
    TRUSTED = auto()
    RINGBUF = auto()


@dataclass(frozen=True, slots=True)
class Return:
    """What comes back; ``type`` is a kernel structure where one is returned and it does not depend on the call."""

    kind: ReturnKind
    flags: ReturnFlag = ReturnFlag.NONE
    type: str = ""

    @property
    def maybe_null(self) -> bool:
        """Whether r0 may be null."""
        return ReturnFlag.MAYBE_NULL in self.flags


class Effect(Flag):
    """What a helper needs or does beyond its arguments."""

    NONE = 0
    #: Only programs under a licence compatible with the GPL may call it.
    GPL = auto()
    #: Only sleepable programs may call it.
    SLEEPS = auto()
    #: Its memory arguments may lie in the packet.
    PACKET_ACCESS = auto()
    #: It may move or change the packet: pointers into the packet are void after the call.
    CHANGES_PACKET = auto()
    #: What it returns is a reference that the program has to release.
    ACQUIRES = auto()


@dataclass(frozen=True, slots=True)
class HelperPrototype:
    """A helper: ``name`` without the kernel's ``bpf_``, its number, what it takes and returns, needs and does.

    ``parameters`` are the names of the C declaration. Where program types have different prototypes of the
    same helper there are several rows, and ``programs`` says whose this one is; None means all types that have no row
    of their own.
    """

    number: int
    name: str
    parameters: tuple[str, ...]
    arguments: tuple[Argument, ...]
    returns: Return
    effects: Effect = Effect.NONE
    programs: frozenset[ProgramType] | None = None

    @property
    def gpl_only(self) -> bool:
        """Whether only programs under a licence compatible with the GPL may call it."""
        return Effect.GPL in self.effects

    @property
    def might_sleep(self) -> bool:
        """Whether only sleepable programs may call it."""
        return Effect.SLEEPS in self.effects

    @property
    def packet_access(self) -> bool:
        """Whether its memory arguments may lie in the packet."""
        return Effect.PACKET_ACCESS in self.effects

    @property
    def changes_packet(self) -> bool:
        """Whether pointers into the packet are void after the call."""
        return Effect.CHANGES_PACKET in self.effects

    @property
    def acquires(self) -> bool:
        """Whether what it returns has to be released."""
        return Effect.ACQUIRES in self.effects

    @property
    def releases(self) -> int | None:
        """Which argument (from 0) is given up by the call, or None."""
        for index, argument in enumerate(self.arguments):
            if ArgumentFlag.RELEASE in argument.flags:
                return index
        return None
