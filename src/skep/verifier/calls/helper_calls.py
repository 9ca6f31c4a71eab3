"""Calls of helpers: who may call, what the arguments must be, and what the call leaves behind.

The prototypes are those of ``skep.stdlib``; what they cannot say of a helper stands in the tables here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from skep.isa.instruction import Instruction
from skep.objects.kinds import MapType
from skep.stdlib import prototypes
from skep.stdlib.prototype import HelperPrototype, ReturnFlag, ReturnKind
from skep.verifier.calls import callbacks, map_rules
from skep.verifier.calls.format_strings import SNPRINTF, check_snprintf
from skep.verifier.calls.helper_arguments import Passed, Wanted, check_arguments, wanted
from skep.verifier.calls.helper_conditions import CHECKED_CALLS, check_call, check_conditions
from skep.verifier.holding import references, sections
from skep.verifier.holding.locks import check_call_allowed
from skep.verifier.kernel import helper_objects
from skep.verifier.maps import kptrs, timers
from skep.verifier.maps.facts import MapFacts
from skep.verifier.numbers.scalar import scalar, signed64
from skep.verifier.paths.flow import CALLBACK_HELPERS
from skep.verifier.rejection import Rejection
from skep.verifier.stack import dynptrs, stack_access
from skep.verifier.states.register import (
    ANY_NUMBER,
    MAYBE_NULL,
    NOTHING,
    PACKET_SLICE,
    RINGBUF,
    Kind,
    Register,
    number,
    register,
)
from skep.verifier.states.slots import slot
from skep.verifier.states.stack_objects import Dynptr, DynptrType
from skep.verifier.states.state import State
from skep.verifier.steps.returns import check_nothing_held, end_early
from skep.verifier.steps.step import Step

if TYPE_CHECKING:
    from skep.verifier.paths.exploration import Explorer

_MAP_VALUE: Final = Kind.MAP_VALUE
_MEMORY: Final = Kind.MEMORY
_SCALAR: Final = Kind.SCALAR
_TYPE_ARRAY: Final = MapType.ARRAY
_TYPE_PERCPU_ARRAY: Final = MapType.PERCPU_ARRAY
_TYPE_PROG_ARRAY: Final = MapType.PROG_ARRAY
_TYPE_SOCKHASH: Final = MapType.SOCKHASH
_TYPE_SOCKMAP: Final = MapType.SOCKMAP

#: The most CPUs that a number of a CPU is known to be below; the kernel knows its own.
_ERRORS = -4095

_TAIL_CALL = prototypes.number("tail_call")
_LOOKUP = prototypes.number("map_lookup_elem")
_WRITERS = frozenset(
    prototypes.number(name) for name in ("map_update_elem", "map_delete_elem", "map_push_elem", "map_pop_elem")
)
_DYNPTR_FROM_MEM = prototypes.number("dynptr_from_mem")
_DYNPTR_WRITE = prototypes.number("dynptr_write")
_SET_TIMER_CALLBACK = prototypes.number("timer_set_callback")
_LOCAL_STORAGE = prototypes.number("get_local_storage")
_CPU = prototypes.number("get_smp_processor_id")
#: Helpers that return a length of at most the buffer's, or an error.
_LENGTHS = frozenset(
    prototypes.number(name)
    for name in ("get_stack", "get_task_stack", "probe_read_str", "probe_read_kernel_str", "probe_read_user_str")
)
#: Helpers whose result is their argument seen as another type.
_CASTS = frozenset(
    prototypes.number(name)
    for name in (
        "tcp_sock",
        "sk_fullsock",
        "skc_to_tcp_sock",
        "skc_to_tcp6_sock",
        "skc_to_udp6_sock",
        "skc_to_mptcp_sock",
        "skc_to_tcp_timewait_sock",
        "skc_to_tcp_request_sock",
    )
)


def call_helper(instruction: Instruction) -> Step:
    """The step of a call of a helper."""
    return _CallHelper(instruction.imm)


class _CallHelper(Step):
    """A call of a helper. Whether the program may call it, and what it takes, is looked up at the first call."""

    __slots__ = ("_arguments", "_helper", "_might_sleep", "_row")

    def __init__(self, helper: int) -> None:
        self._helper: Final = helper
        self._row: HelperPrototype | None = None
        self._arguments: list[Wanted] = []
        self._might_sleep = False

    def follow(self, explorer: Explorer) -> int:
        """Check the arguments, and leave what the helper does."""
        explorer.sources[0] = 0
        explorer.jumps += 1
        helper = self._helper
        check_call_allowed(explorer, helper)
        row = self._row
        if row is None or (self._might_sleep and not explorer.sleepable):
            _check_permitted(explorer, helper, prototypes.NAMES.get(helper))
            row = self._row = prototypes.prototype(helper, explorer.context.type)
            self._arguments = wanted(row)
            self._might_sleep = row.might_sleep
        if self._might_sleep:
            sections.check_helper(explorer, row)
        special = _OWN_RULES.get(helper)
        if special is None:
            return _call(explorer, row, self._arguments)
        explorer.liveness.wrote(explorer.state, explorer.index, 0)
        result = special(explorer)
        explorer.registers[0:6] = (result, *(NOTHING,) * 5)
        return explorer.index + 1


#: Helpers whose arguments go by rules of their own: they check them, do what the call does, and give the result.
_OWN_RULES: dict[int, Callable[[Explorer], Register]] = {
    prototypes.number("kptr_xchg"): kptrs.exchange,
    prototypes.number("this_cpu_ptr"): kptrs.of_this_cpu,
    prototypes.number("per_cpu_ptr"): kptrs.of_cpu,
}


_INTEGER: Final = ReturnKind.INTEGER

#: The number that stands for no helper.
_UNSPECIFIED = 0


def _check_permitted(explorer: Explorer, helper: int, name: str | None) -> None:
    context = explorer.context
    if helper == _UNSPECIFIED:
        raise Rejection(f"program of this type cannot use helper bpf_unspec#{helper}")
    if name is None:
        raise Rejection(f"invalid func unknown#{helper}")
    if not prototypes.permitted(helper, context.type, context.attach_type):
        raise Rejection(f"program of this type cannot use helper bpf_{name}#{helper}", helper=name)
    check_conditions(context, name)
    row = prototypes.prototype(helper, context.type)
    if row.gpl_only and not context.is_gpl:
        raise Rejection("cannot call GPL-restricted function from non-GPL compatible program", helper=name)
    if row.might_sleep and not explorer.sleepable:
        raise Rejection("helper call might sleep in a non-sleepable prog", helper=name)


def _call(explorer: Explorer, row: HelperPrototype, arguments: list[Wanted]) -> int:
    state = explorer.state
    registers = explorer.registers
    helper = row.number
    passed = check_arguments(explorer, row, arguments)
    if helper in CHECKED_CALLS:
        check_call(explorer.context, row.name)
    for index, size in passed.filled:
        _fill(explorer, index, size)
    if passed.map is not None:
        _check_map_use(explorer, row, passed.map)
    if passed.released is not None:
        _release(explorer, row, passed)
    explorer.liveness.wrote(state, explorer.index, passed.written)
    if helper == _TAIL_CALL:
        _check_tail_call_index(explorer, passed)
        check_nothing_held(explorer, "tail_call")
    if helper == _LOCAL_STORAGE and not registers[2].is_zero:
        raise Rejection("get_local_storage() doesn't support non-zero flags", helper=row.name)
    if helper == _DYNPTR_FROM_MEM and registers[1].kind is not _MAP_VALUE:
        raise Rejection(f"Unsupported reg type {registers[1].type_name} for bpf_dynptr_from_mem data", register=1)
    if helper == SNPRINTF:
        check_snprintf(explorer)
    if helper == _SET_TIMER_CALLBACK:
        timers.call_later(explorer, passed.function, registers[1], sleepable=False)
    if helper in CALLBACK_HELPERS and passed.function is not None:
        callbacks.schedule(explorer, row, passed)
    result = _result(explorer, row, passed)
    before = registers[0]
    registers[0:6] = (NOTHING,) * 6
    registers[0] = _with_reference(explorer, row, passed, result)
    if passed.map is not None and not (
        map_rules.fits(passed.map.type, helper) and map_rules.may_change(explorer.context, passed.map.type, helper)
    ):
        fits = map_rules.fits(passed.map.type, helper)
        raise Rejection(
            f"cannot pass map_type {int(passed.map.type)} into func bpf_{row.name}#{helper}",
            *(("cannot update sockmap in this context",) if fits else ()),
            helper=row.name,
            map=passed.map.name,
        )
    if helper == _DYNPTR_WRITE and passed.dynptr is not None and _is_skb(passed.dynptr):
        forget_packet(state)
    returns = explorer.rules.tail_calls_return
    if helper == _TAIL_CALL and len(state.frames) > 1 and returns:
        # The program jumped to returns to the caller, with the packet as it left it; a call that fails goes on.
        explorer.fork(explorer.index + 1)
        forget_packet(state)
        return end_early(explorer, before, ANY_NUMBER)
    moves = explorer.rules.tail_calls_move and not returns
    if row.changes_packet or (helper == _TAIL_CALL and moves):
        forget_packet(state)
    return explorer.index + 1


def _is_skb(dynptr: Dynptr) -> bool:
    """Whether a write to it may move the packet: an ``xdp_buff`` stays where it is."""
    return dynptr.type in (DynptrType.SKB, DynptrType.SKB_META)


def _check_map_use(explorer: Explorer, row: HelperPrototype, map: MapFacts) -> None:
    if row.number in _WRITERS and not map.writable:
        raise Rejection("write into map forbidden", helper=row.name, map=map.name)
    if row.number == _TAIL_CALL and map.type is not _TYPE_PROG_ARRAY:
        raise Rejection("expected prog array map for tail call", map=map.name)


def _check_tail_call_index(explorer: Explorer, passed: Passed) -> None:
    """An index that is one known number lets the kernel jump directly, so that number matters."""
    index = explorer.registers[3]
    known = index.kind is _SCALAR and index.scalar.is_constant
    if passed.map is not None and known and index.scalar.value < passed.map.max_entries:
        explorer.mark_precise(3)


def _fill(explorer: Explorer, index: int, size: int) -> None:
    pointer = explorer.registers[index]
    frame = explorer.state.frames[pointer.frame]
    start = pointer.offset + signed64(pointer.scalar.value)
    stack_access.store_bytes(explorer, frame, start, start + size)


def _release(explorer: Explorer, row: HelperPrototype, passed: Passed) -> None:
    """Give up the reference that was passed: every copy of the pointer is void."""
    if passed.dynptr is not None and passed.released is not None:
        passed.written |= dynptrs.release(explorer, passed.released)
        return
    if passed.reference and not references.release(explorer.state, passed.reference):
        raise Rejection(f"func bpf_{row.name}#{row.number} reference has not been acquired before", helper=row.name)


def forget_packet(state: State) -> None:
    """The packet may have moved: pointers into it are void."""
    for frame in state.frames:
        for index, one in enumerate(frame.registers):
            if one.kind in _PACKET_KINDS or (one.flags & PACKET_SLICE and one.kind is _MEMORY):
                frame.registers[index] = ANY_NUMBER
        for index, spilled in enumerate(frame.slots):
            one = spilled.register
            if one.kind in _PACKET_KINDS or (one.flags & PACKET_SLICE and one.kind is _MEMORY):
                frame.slots[index] = slot(spilled.bytes, ANY_NUMBER)


_PACKET_KINDS = frozenset({Kind.PACKET, Kind.PACKET_META, Kind.PACKET_END})

_RETURNED = {
    ReturnKind.SOCKET: Kind.SOCKET,
    ReturnKind.TCP_SOCK: Kind.TCP_SOCK,
    ReturnKind.SOCK_COMMON: Kind.SOCK_COMMON,
}


def _result(explorer: Explorer, row: HelperPrototype, passed: Passed) -> Register:
    returns = row.returns
    if returns.kind is _INTEGER:
        return _integer(explorer, row, passed)
    flags = MAYBE_NULL if returns.maybe_null else 0
    match returns.kind:
        case ReturnKind.VOID:
            return NOTHING
        case ReturnKind.MAP_VALUE:
            return _map_value(row, passed, flags)
        case ReturnKind.MEMORY:
            if passed.dynptr is not None:
                return dynptrs.slice_of_helper(passed.dynptr, passed.allocated, flags)
            flags |= RINGBUF if returns.flags & ReturnFlag.RINGBUF else 0
            return register(_MEMORY, extent=passed.allocated, flags=flags)
        case kind if kind in _RETURNED:
            return register(_RETURNED[kind], flags=flags)
        case _:
            return helper_objects.returned(explorer, returns)


def _map_value(row: HelperPrototype, passed: Passed, flags: int) -> Register:
    map = passed.map
    assert map is not None
    is_there = row.number == _LOOKUP and map.type in (_TYPE_ARRAY, _TYPE_PERCPU_ARRAY) and not map.may_differ
    if is_there and passed.key is not None and passed.key < map.max_entries and map.inner is None:
        flags &= ~MAYBE_NULL
    return register(_MAP_VALUE, extent=passed.map_id, flags=flags, subject=map)


def _integer(explorer: Explorer, row: HelperPrototype, passed: Passed) -> Register:
    if row.number in _LENGTHS:
        most = min(passed.largest, (1 << 31) - 1)
        known = scalar(s64=(_ERRORS, passed.largest), s32=(_ERRORS, most))
        return ANY_NUMBER if known is None else number(known)
    if row.number == _CPU and explorer.rules.counts_cpus:
        known = scalar(u64=(0, explorer.context.cpus - 1))
        return ANY_NUMBER if known is None else number(known)
    return ANY_NUMBER


def _with_reference(explorer: Explorer, row: HelperPrototype, passed: Passed, result: Register) -> Register:
    """The result with an id where it may be null, and with the reference that it is."""
    id = explorer.new_id() if result.flags & MAYBE_NULL else 0
    reference = 0
    if row.number in _CASTS:
        reference = passed.reference
    elif passed.dynptr is not None:
        reference = result.reference
    elif row.acquires or (
        row.number == _LOOKUP and passed.map is not None and passed.map.type in (_TYPE_SOCKMAP, _TYPE_SOCKHASH)
    ):
        id = reference = references.acquire(explorer)
    elif result.kind is _MAP_VALUE and isinstance(result.subject, MapFacts) and result.subject.has_lock:
        id = id or explorer.new_id()
    if not id and not reference:
        return result
    return register(
        result.kind, result.scalar, result.offset, id, reference, result.extent, 0, result.flags, result.subject
    )
