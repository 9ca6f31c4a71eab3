"""Arguments of helpers: each is held against what the helper's prototype asks for.

Which registers do for which kind of argument is a table; memory is checked once its size is known. Messages were
observed on Linux 6.18.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from skep.objects.kinds import MapType, ProgramType
from skep.stdlib.prototype import Argument, ArgumentFlag, ArgumentKind, HelperPrototype
from skep.verifier.calls.map_rules import SOCKET_MAPS
from skep.verifier.holding.locks import SPIN_LOCK, change_lock
from skep.verifier.kernel import helper_objects
from skep.verifier.maps import timers
from skep.verifier.maps.facts import MapFacts
from skep.verifier.numbers.scalar import signed64
from skep.verifier.paths.stack_liveness import bit
from skep.verifier.rejection import NotCovered, Rejection
from skep.verifier.stack import dynptrs, stack_access
from skep.verifier.states import slots
from skep.verifier.states.register import (
    MAYBE_NULL,
    PACKET_SLICE,
    RCU,
    READ_ONLY,
    RINGBUF,
    TRUSTED,
    UNTRUSTED,
    Kind,
    Register,
)
from skep.verifier.states.slots import INVALID, MISC, SPILL, ZERO
from skep.verifier.states.stack_objects import Dynptr, DynptrType
from skep.verifier.steps.accesses import (
    Access,
    check_alignment,
    check_buffer,
    check_map_value,
    check_packet,
    check_region,
    check_unmodified,
    may_access_packet,
)
from skep.verifier.steps.checks import readable
from skep.verifier.structure import OFFSET_LIMIT

if TYPE_CHECKING:
    from skep.verifier.paths.exploration import Explorer
    from skep.verifier.states.state import Frame

_MAP_KEY: Final = Kind.MAP_KEY
_KIND_MEMORY: Final = Kind.MEMORY
_OBJECT: Final = Kind.OBJECT
_SCALAR: Final = Kind.SCALAR
_STACK: Final = Kind.STACK
_TYPE_ARRAY: Final = MapType.ARRAY
_TYPE_PERCPU_ARRAY: Final = MapType.PERCPU_ARRAY

#: A kind of register and its modifiers.
_Type = tuple[Kind, int]

_MEMORY: tuple[_Type, ...] = (
    (Kind.STACK, 0),
    (Kind.PACKET, 0),
    (Kind.PACKET_META, 0),
    (Kind.MAP_KEY, 0),
    (Kind.MAP_VALUE, 0),
    (Kind.MEMORY, 0),
    (Kind.MEMORY, RINGBUF),
    (Kind.BUFFER, 0),
    (Kind.OBJECT, TRUSTED),
)
_SOCK_COMMON: tuple[_Type, ...] = ((Kind.SOCK_COMMON, 0), (Kind.SOCKET, 0), (Kind.TCP_SOCK, 0), (Kind.XDP_SOCK, 0))
_NUMBER: tuple[_Type, ...] = ((Kind.SCALAR, 0),)

#: What may be passed for each kind of argument.
_ACCEPTED: dict[ArgumentKind, tuple[_Type, ...]] = {
    ArgumentKind.MAP: ((Kind.MAP, 0),),
    ArgumentKind.MAP_KEY: _MEMORY,
    ArgumentKind.MAP_VALUE: _MEMORY,
    ArgumentKind.MEMORY: _MEMORY,
    ArgumentKind.SIZE: _NUMBER,
    ArgumentKind.SIZE_OR_ZERO: _NUMBER,
    ArgumentKind.ALLOCATION_SIZE: _NUMBER,
    ArgumentKind.CONTEXT: ((Kind.CONTEXT, 0),),
    ArgumentKind.FUNCTION: ((Kind.FUNCTION, 0),),
    ArgumentKind.STACK: ((Kind.STACK, 0),),
    ArgumentKind.TIMER: ((Kind.MAP_VALUE, 0),),
    ArgumentKind.DYNPTR: ((Kind.STACK, 0), (Kind.DYNPTR, 0)),
    ArgumentKind.CONSTANT_STRING: ((Kind.MAP_VALUE, 0),),
    ArgumentKind.RINGBUF_MEMORY: ((Kind.MEMORY, RINGBUF),),
    ArgumentKind.SOCKET: ((Kind.SOCKET, 0),),
    ArgumentKind.SOCK_COMMON: _SOCK_COMMON,
    ArgumentKind.BTF_ID: ((Kind.OBJECT, 0), (Kind.OBJECT, TRUSTED), (Kind.OBJECT, RCU)),
    ArgumentKind.BTF_SOCK_COMMON: (*_SOCK_COMMON, (Kind.OBJECT, 0), (Kind.OBJECT, TRUSTED)),
}

_OFFSET_ALLOWED = frozenset(
    {
        Kind.STACK,
        Kind.PACKET,
        Kind.PACKET_META,
        Kind.MAP_KEY,
        Kind.MAP_VALUE,
        Kind.MEMORY,
        Kind.BUFFER,
        Kind.SCALAR,
    }
)
_PACKET = frozenset({Kind.PACKET, Kind.PACKET_META})
_ANYTHING: Final = ArgumentKind.ANYTHING
_MAP_VALUE: Final = ArgumentKind.MAP_VALUE
#: What a map of sockets holds, as a helper takes it.
_SOCKET_VALUE = Argument(ArgumentKind.BTF_SOCK_COMMON)


@dataclass(slots=True)
class Passed:
    """What the arguments of one call turned out to be."""

    prototype: HelperPrototype
    map: MapFacts | None = None
    #: Which of the inner maps it is, where it was looked up.
    map_id: int = 0
    #: The timer in a map value.
    timer: Register | None = None
    #: The key of an array's element, where it is a known constant.
    key: int | None = None
    #: The reference that one of them stands for, and the same if it is a pointer that does, and no dynptr.
    reference: int = 0
    by_pointer: int = 0
    released: int | None = None
    function: int | None = None
    #: The size of memory that the helper returns, and the most bytes that it fills in.
    allocated: int = 0
    largest: int = 0
    #: The dynptr that was passed.
    dynptr: Dynptr | None = None
    #: Slots of the stack that the call was seen to overwrite, one bit each.
    written: int = 0
    #: Memory that the helper fills in: (register, bytes).
    filled: list[tuple[int, int]] = field(default_factory=list)


class Wanted:
    """An argument of a prototype, made ready: what is asked of its register is looked up once, not each time."""

    __slots__ = (
        "aligned",
        "argument",
        "check",
        "fills",
        "kind",
        "or_null",
        "position",
        "released",
        "types",
        "writes",
    )

    def __init__(self, position: int, argument: Argument) -> None:
        flags = argument.flags
        self.position: Final = position
        self.argument: Final = argument
        self.kind: Final = argument.kind
        self.or_null: Final = ArgumentFlag.MAYBE_NULL in flags
        self.released: Final = ArgumentFlag.RELEASE in flags
        self.writes: Final = ArgumentFlag.WRITE in flags
        self.fills: Final = ArgumentFlag.UNINITIALISED in flags
        self.aligned: Final = ArgumentFlag.ALIGNED in flags
        #: What may be passed, without the modifiers that do not matter; None where any register may.
        self.types: Final = None if argument.kind is ArgumentKind.SPIN_LOCK else _ACCEPTED.get(argument.kind, ())
        self.check: Final = _CHECKS.get(argument.kind)


def wanted(prototype: HelperPrototype) -> list[Wanted]:
    """The arguments of a prototype, made ready."""
    return [Wanted(position, argument) for position, argument in enumerate(prototype.arguments)]


def check_arguments(explorer: Explorer, prototype: HelperPrototype, arguments: list[Wanted]) -> Passed:
    """Hold r1 to r5 against the prototype. Raises Rejection for the first that does not do."""
    passed = Passed(prototype)
    for argument in arguments:
        _check(explorer, passed, argument)
    return passed


def _check(explorer: Explorer, passed: Passed, argument: Wanted) -> None:
    index = argument.position + 1
    readable(explorer, index)
    kind = argument.kind
    if kind is _ANYTHING:
        return
    pointer = explorer.registers[index]
    if pointer.kind in _PACKET and not _packet_allowed(explorer, passed.prototype):
        raise Rejection("helper access to the packet is not allowed", register=index)
    if kind is _MAP_VALUE and passed.map is not None and passed.map.type in SOCKET_MAPS:
        argument = Wanted(argument.position, _SOCKET_VALUE)
        kind = argument.kind
    if not (argument.or_null and pointer.is_zero):
        _check_type(index, pointer, argument)
        if pointer.kind is _OBJECT:
            helper_objects.check_type(explorer, passed.prototype, index, pointer, argument.argument)
        _check_offset(index, pointer, argument)
    if argument.released:
        if kind is ArgumentKind.DYNPTR:
            dynptrs.expect_released(explorer, index)
        elif not pointer.reference and not pointer.is_zero:
            raise Rejection(f"R{index} must be referenced when passed to release function", register=index)
        passed.released = index
    if pointer.reference and kind is not ArgumentKind.KPTR_PLACE:
        if passed.by_pointer:
            raise Rejection(
                f"more than one arg with ref_obj_id R{index} {pointer.reference} {passed.by_pointer}", register=index
            )
        passed.by_pointer = passed.reference = pointer.reference
    assert argument.check is not None
    argument.check(explorer, passed, argument, pointer)


def _packet_allowed(explorer: Explorer, prototype: HelperPrototype) -> bool:
    program = explorer.context.type
    if not may_access_packet(program, store=False):
        return False
    return prototype.packet_access or program is ProgramType.CGROUP_SOCKOPT


def _check_type(index: int, pointer: Register, argument: Wanted) -> None:
    accepted = argument.types
    if accepted is None:
        return
    if not accepted:
        raise NotCovered(f"helper arguments of kind {argument.kind.value}")
    flags = pointer.flags if pointer.kind is not _SCALAR else 0
    if flags:
        if ArgumentFlag.READ_ONLY in argument.argument.flags:
            flags &= ~READ_ONLY
        if argument.or_null:
            flags &= ~MAYBE_NULL
        if pointer.kind is _KIND_MEMORY:
            flags &= ~PACKET_SLICE
    if (pointer.kind, flags) in accepted:
        return
    expected = ", ".join(_type_name(one) for one in accepted)
    raise Rejection(
        f"R{index} type={pointer.type_name} expected={expected}", register=index, pointer=pointer, expected=expected
    )


_TYPE_PREFIXES = ((RINGBUF, "ringbuf_"), (TRUSTED, "trusted_"), (RCU, "rcu_"))


def _type_name(one: _Type) -> str:
    kind, flags = one
    prefix = "".join(text for flag, text in _TYPE_PREFIXES if flags & flag)
    return prefix + kind.value


def _check_offset(index: int, pointer: Register, argument: Wanted) -> None:
    if argument.kind is ArgumentKind.DYNPTR and pointer.kind is _STACK:
        return
    if argument.released:
        if pointer.offset:
            raise Rejection(
                f"R{index} must have zero offset when passed to release func or trusted arg to kfunc", register=index
            )
        check_unmodified(index, pointer)
    elif pointer.kind not in _OFFSET_ALLOWED:
        check_unmodified(index, pointer, pointer.kind is _OBJECT)


def _map(explorer: Explorer, passed: Passed, argument: Wanted, pointer: Register) -> None:
    assert isinstance(pointer.subject, MapFacts)
    if passed.timer is not None:
        timers.check_same_map("timer", argument.position + 1, passed.timer, pointer)
    passed.map = pointer.subject
    passed.map_id = pointer.extent


def _key(explorer: Explorer, passed: Passed, argument: Wanted, pointer: Register) -> None:
    map = passed.map
    if map is None:
        raise Rejection("invalid map_ptr to access map->key")
    check_memory(explorer, argument.position + 1, map.key_size, store=False)
    if map.type in (_TYPE_ARRAY, _TYPE_PERCPU_ARRAY) and explorer.rules.known_keys:
        passed.key = _constant_key(explorer, pointer, map.key_size)


def _constant_key(explorer: Explorer, pointer: Register, size: int) -> int | None:
    """The number that the key on the stack is, if that is known."""
    if pointer.kind is not _STACK or not pointer.scalar.is_constant:
        return None
    frame = explorer.state.frames[pointer.frame]
    number, start = stack_access.place(pointer.offset + signed64(pointer.scalar.value))
    one = frame.slots[number]
    key = one.bytes[start:]
    if key.startswith(ZERO * size):
        return 0
    if not one.is_spill or one.register.kind is not _SCALAR:
        return None
    spilled = len(key) - len(key.lstrip(SPILL))
    if spilled != size or not one.register.scalar.is_constant:
        return None
    explorer.mark_slot_precise(pointer.frame, number)
    return one.register.scalar.value


def _value(explorer: Explorer, passed: Passed, argument: Wanted, pointer: Register) -> None:
    if pointer.is_zero and argument.or_null:
        return
    if passed.map is None:
        raise Rejection("invalid map_ptr to access map->value")
    _memory_of_size(explorer, passed, argument.position + 1, passed.map.value_size, argument)


def _memory_of_size(
    explorer: Explorer,
    passed: Passed,
    index: int,
    size: int,
    argument: Wanted,
    *,
    zero: bool = False,
    raw: bool = True,
) -> None:
    if check_memory(explorer, index, size, store=argument.writes, zero=zero, fills=raw and argument.fills):
        passed.filled.append((index, size))


def _memory(explorer: Explorer, passed: Passed, argument: Wanted, pointer: Register) -> None:
    size = argument.argument.size
    if size and not pointer.is_zero:
        _memory_of_size(explorer, passed, argument.position + 1, size, argument)
        if argument.aligned:
            check_alignment(explorer, Access(argument.position + 1, pointer, 0, size, strict=True))


def _size(explorer: Explorer, passed: Passed, argument: Wanted, pointer: Register) -> None:
    index = argument.position + 1
    scalar = pointer.scalar
    zero = argument.kind is ArgumentKind.SIZE_OR_ZERO
    passed.largest = scalar.umax
    if scalar.smin < 0:
        raise Rejection(f"R{index} min value is negative, either use unsigned or 'var &= const'", register=index)
    if scalar.umin == 0 and not zero:
        raise Rejection(
            f"R{index} invalid zero-sized read: u64=[{scalar.umin},{signed64(scalar.umax)}]", register=index
        )
    if scalar.umax >= OFFSET_LIMIT:
        raise Rejection(f"R{index} unbounded memory access, use 'var &= const' or 'if (var < const)'", register=index)
    memory = Wanted(argument.position - 1, passed.prototype.arguments[argument.position - 1])
    _memory_of_size(explorer, passed, index - 1, scalar.umax, memory, zero=zero, raw=scalar.is_constant)
    explorer.mark_precise(index)


def _allocation(explorer: Explorer, passed: Passed, argument: Wanted, pointer: Register) -> None:
    if not pointer.scalar.is_constant:
        index = argument.position + 1
        raise Rejection(f"R{index} is not a known constant'", register=index)
    passed.allocated = pointer.scalar.value
    explorer.mark_precise(argument.position + 1)


def _function(explorer: Explorer, passed: Passed, argument: Wanted, pointer: Register) -> None:
    assert isinstance(pointer.subject, int)
    passed.function = pointer.subject


def _string(explorer: Explorer, passed: Passed, argument: Wanted, pointer: Register) -> None:
    check_string(explorer, argument.position + 1, pointer)


def check_string(explorer: Explorer, index: int, pointer: Register) -> None:
    """Refuse a pointer into a map that is not one to a string that nobody changes."""
    map = pointer.subject
    assert isinstance(map, MapFacts)
    if map.writable or not map.spec.frozen:
        raise Rejection(f"R{index} does not point to a readonly map'", register=index)
    if not pointer.scalar.is_constant:
        raise Rejection(f"R{index} is not a constant address'", register=index)
    if map.constant is None:
        raise Rejection("no direct value access support for this map type")
    start = pointer.offset + pointer.scalar.value
    check_map_value(explorer, index, pointer, pointer.offset, max(map.value_size - start, 0), False)
    if 0 not in map.constant[start:]:
        raise Rejection("string is not zero-terminated", register=index)


def _dynptr(explorer: Explorer, passed: Passed, argument: Wanted, pointer: Register) -> None:
    index = argument.position + 1
    if argument.fills:
        type = DynptrType.RINGBUF if ArgumentFlag.RINGBUF in argument.argument.flags else DynptrType.LOCAL
        passed.written |= dynptrs.make(explorer, index, type)
        return
    passed.dynptr = dynptrs.expect(explorer, index)
    if passed.dynptr.reference:
        passed.reference = passed.dynptr.reference


def _lock(explorer: Explorer, passed: Passed, argument: Wanted, pointer: Register) -> None:
    change_lock(explorer, argument.position + 1, take=passed.prototype.number == SPIN_LOCK)


def _timer(explorer: Explorer, passed: Passed, argument: Wanted, pointer: Register) -> None:
    timers.check_place(argument.position + 1, pointer, "bpf_timer")
    passed.timer = pointer


def _nothing_more(explorer: Explorer, passed: Passed, argument: Wanted, pointer: Register) -> None:
    """The type was all there is to check."""


_Check = Callable[["Explorer", Passed, Wanted, Register], None]

_CHECKS: Final[dict[ArgumentKind, _Check]] = {
    ArgumentKind.MAP: _map,
    ArgumentKind.MAP_KEY: _key,
    ArgumentKind.MAP_VALUE: _value,
    ArgumentKind.MEMORY: _memory,
    ArgumentKind.SIZE: _size,
    ArgumentKind.SIZE_OR_ZERO: _size,
    ArgumentKind.ALLOCATION_SIZE: _allocation,
    ArgumentKind.FUNCTION: _function,
    ArgumentKind.CONSTANT_STRING: _string,
    ArgumentKind.SPIN_LOCK: _lock,
    ArgumentKind.TIMER: _timer,
    ArgumentKind.CONTEXT: _nothing_more,
    ArgumentKind.STACK: _nothing_more,
    ArgumentKind.DYNPTR: _dynptr,
    ArgumentKind.RINGBUF_MEMORY: _nothing_more,
    ArgumentKind.SOCKET: _nothing_more,
    ArgumentKind.SOCK_COMMON: _nothing_more,
    ArgumentKind.BTF_SOCK_COMMON: _nothing_more,
    ArgumentKind.BTF_ID: _nothing_more,
}


#: Flags of pointers to memory that no helper may have. Where null will do, what may be null is held against the size
#: as if it were not; where it will not, it was refused before.
_UNSAFE: Final = {Kind.MEMORY: 0, Kind.SCALAR: 0, Kind.OBJECT: MAYBE_NULL | UNTRUSTED}


def check_memory(
    explorer: Explorer, index: int, size: int, *, store: bool, zero: bool = False, fills: bool = False
) -> bool:
    """Refuse ``size`` bytes behind register ``index`` that a helper must not touch.

    With ``fills`` it writes all of them, so that they need not hold anything; then True is given where they are
    stack, whose contents are void afterwards.
    """
    pointer = explorer.registers[index]
    if pointer.flags & _UNSAFE.get(pointer.kind, UNTRUSTED):
        raise Rejection(f"R{index} type={pointer.type_name} expected=fp", register=index, pointer=pointer)
    if pointer.kind is _STACK:
        return _check_stack(explorer, index, pointer, size, store=store, zero=zero, fills=fills)
    match pointer.kind:
        case Kind.PACKET | Kind.PACKET_META:
            check_packet(index, pointer, pointer.offset, size, zero)
        case Kind.MAP_VALUE:
            check_map_value(explorer, index, pointer, pointer.offset, size, store, zero)
        case Kind.MEMORY | Kind.MAP_KEY:
            if store and (pointer.flags & READ_ONLY or pointer.kind is _MAP_KEY):
                raise Rejection(f"R{index} cannot write into {pointer.type_name}", register=index)
            check_region(explorer, index, pointer, pointer.offset, size, pointer.extent, zero)
        case Kind.BUFFER:
            if store and pointer.flags & READ_ONLY:
                raise Rejection(f"R{index} cannot write into {pointer.type_name}", register=index)
            check_buffer(index, pointer, 0, size)
        case Kind.OBJECT:
            helper_objects.check_read(explorer, index, pointer, size)
        case _:
            if not (zero and size == 0 and pointer.is_zero):
                raise Rejection(f"R{index} type={pointer.type_name} expected=fp", register=index, pointer=pointer)
    return False


def _check_stack(
    explorer: Explorer, index: int, pointer: Register, size: int, *, store: bool, zero: bool, fills: bool
) -> bool:
    if size == 0 and not zero:
        raise Rejection("invalid zero-sized read", register=index)
    how = " write to" if store else " read from"
    least, greatest = stack_access.bounds(explorer, index, pointer, pointer.offset, size, how)
    frame = explorer.state.frames[pointer.frame]
    if fills and pointer.scalar.is_constant:
        overlap = stack_access.first_dynptr(frame, least, greatest + size)
        if overlap is not None:
            raise Rejection(f"potential write to dynptr at off={overlap} disallowed", register=index)
        return True
    stack_access.check_readable(explorer, index, pointer, frame, least, greatest, size)
    mask = 0
    for offset in range(least, greatest + size):
        number, byte = stack_access.place(offset)
        mask |= bit(frame.index, number)
        if store or not explorer.rules.keeps_read:
            _clobber(frame, number, byte)
    if mask:
        explorer.liveness.read(explorer.state, explorer.index, mask)
    return False


def _clobber(frame: Frame, number: int, byte: int) -> None:
    """A helper may write a byte: nothing is known of it afterwards."""
    old = frame.slots[number]
    if old.is_spill:
        frame.slots[number] = slots.scrubbed(old)
    elif old.bytes[byte] in (ZERO, INVALID):
        frame.slots[number] = slots.written(old, byte, 1, MISC)
