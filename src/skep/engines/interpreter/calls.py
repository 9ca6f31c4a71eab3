"""Calls that leave the program: helpers, kernel functions, and legacy packet loads.

Most helpers are native functions of the standard library, called with arguments that were checked against the
helper's prototype (``arguments``). Those whose work is control flow are done here: a tail call goes on in another
program, and helpers that call back are generators, so that each instruction of a callback is a step like any other.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from skep.engines.interpreter.arguments import check_arguments
from skep.engines.missing import poisoned
from skep.errors import Fault, RequestError, UnsupportedError
from skep.isa.meaning import MASK32, MASK64
from skep.lang.layout import struct_type
from skep.memory import Region
from skep.memory.contexts import SkbContext
from skep.memory.cpu import MAX_TAIL_CALLS
from skep.objects.kinds import ProgramType
from skep.objects.spec import KfuncReference
from skep.stdlib.prototype import ArgumentKind, HelperPrototype, ReturnKind
from skep.stdlib.prototypes import prototype

if TYPE_CHECKING:
    from skep.engines.interpreter.execution import Callbacks, Execution
    from skep.maps import Map

LOOKUP: Final = 1
TAIL_CALL: Final = 12
SPIN_LOCK: Final = 93
SPIN_UNLOCK: Final = 94

#: Rounds of ``bpf_loop`` at most: BPF_MAX_LOOPS of Linux.
MAX_LOOPS: Final = 8 * 1024 * 1024

#: Offsets of a legacy packet load from here on count from the network header, below from the link-layer header.
#: SKF_NET_OFF and SKF_LL_OFF of the kernel's user-space interface (linux/filter.h).
_FROM_NETWORK, _FROM_LINK = -0x100000, -0x200000


def call_helper(e: Execution, slot: int, following: int, number: int) -> int | None:
    """Call a helper by its number; returns the next slot, or None where the execution says what is next."""
    try:
        helper = prototype(number, e.kind.type)
    except RequestError as error:
        if slot in e.code.binding.unresolved:
            raise poisoned(e.code.binding.unresolved[slot]) from None
        raise Fault(f"calls helper {number}, which does not exist: {error.problem}") from None
    arguments = check_arguments(e, helper)
    if number == TAIL_CALL:
        return _tail_call(e, following, arguments)
    calling_back = _CALLING_BACK.get(number)
    if calling_back is not None:
        return e.call_back(calling_back(e, arguments), None, following)
    if number in (SPIN_LOCK, SPIN_UNLOCK):
        _check_lock(e, number, arguments[0])
    result = e.code.native(helper, _map_given(e, helper, arguments)).call(e, arguments)
    if number in (SPIN_LOCK, SPIN_UNLOCK):
        e.held = arguments[0] if number == SPIN_LOCK else None
    registers = e.registers
    registers[0] = None if helper.returns.kind is ReturnKind.VOID else result & MASK64
    registers[1:6] = [None] * 5
    if helper.changes_packet:
        e.forget()
    return following


def _map_given(e: Execution, helper: HelperPrototype, arguments: list[int]) -> Map | None:
    """The map among the arguments, if it is one of the program's own."""
    for argument, value in zip(helper.arguments, arguments, strict=True):
        if argument.kind is ArgumentKind.MAP:
            return e.code.map_at(value)
    return None


def call_kfunc(e: Execution, slot: int, following: int) -> int | None:
    """Call a kernel function: none has an implementation outside the kernel yet."""
    reference = e.code.spec.references.get(slot)
    if not isinstance(reference, KfuncReference):
        raise Fault("calls a kernel function by number, which means nothing outside the kernel it was loaded into")
    raise UnsupportedError(f"the kernel function {reference.name} has no implementation here")


# Spin locks: a program that takes a lock it holds would wait for itself for ever, in native code.


def _check_lock(e: Execution, number: int, address: int) -> None:
    if number == SPIN_LOCK and e.held is not None:
        raise Fault(f"bpf_spin_lock: the program holds the lock at {e.held:#x} already, and may hold one at a time")
    if number == SPIN_UNLOCK and e.held != address:
        raise Fault(f"bpf_spin_unlock: the program does not hold the lock at {address:#x}")


def release(e: Execution) -> None:
    """Give a lock back that a run was holding when it ended in a fault, so that others can go on."""
    if e.held is not None:
        e.code.native(prototype(SPIN_UNLOCK, e.kind.type)).call(e, [e.held])
        e.held = None


# Tail calls.


def _tail_call(e: Execution, following: int, arguments: list[int]) -> int | None:
    context, address, index = arguments
    found = e.code.map_at(address)
    registers = e.registers
    registers[0:6] = [None] * 6
    program = e.code.binding.tails.get("" if found is None else found.spec.name, {}).get(index & MASK32)
    if program is None or e.tail_calls == MAX_TAIL_CALLS:
        return following
    e.tail_calls += 1
    registers[1] = context
    registers[2] = e.length if e.kind.type is ProgramType.RAW else None
    registers[6:10] = [None] * 4
    e.enter_program(program)
    return None


# Helpers that call back.


def _loop(e: Execution, arguments: list[int]) -> Callbacks:
    """``bpf_loop``: call a function with 0, 1, 2 … until it returns something else than 0."""
    rounds, function, context, flags = arguments
    rounds &= MASK32
    if flags:
        return -errno.EINVAL
    if rounds > MAX_LOOPS:
        return -errno.E2BIG
    for index in range(rounds):
        if (yield function, (index, context)):
            return index + 1
    return rounds


def _for_each(e: Execution, arguments: list[int]) -> Callbacks:
    """``bpf_for_each_map_elem``: call a function with each element that the map held at the start."""
    address, function, context, flags = arguments
    found = e.code.map_at(address)
    if flags or found is None:
        return -errno.EINVAL
    lookup = e.code.native(prototype(LOOKUP, e.kind.type), found)
    visited = 0
    with _buffer(e, "map key", found.spec.key_size) as place:
        for key, _ in list(found.items()):
            place.write(0, key)
            value = lookup.call(e, [address, place.address])
            if not value:
                continue
            visited += 1
            if (yield function, (address, place.address, value, context)):
                break
    return visited


@contextmanager
def _buffer(e: Execution, name: str, size: int) -> Iterator[Region]:
    region = e.space.allocate(name, max(size, 1))
    try:
        yield region
    finally:
        e.space.remove(region)
        e.forget()


_CALLING_BACK: Final[Mapping[int, Callable[[Execution, list[int]], Callbacks]]] = {181: _loop, 164: _for_each}


# Legacy packet loads.


def load_packet(e: Execution, size: int, offset: int) -> int | None:
    """``size`` bytes of the packet at ``offset`` in network order, or None outside the packet."""
    if e.registers[6] is None or e.registers[6] != e.context_address:
        raise Fault("loads from the packet of the context in r6, but r6 does not hold the context")
    if e.kind.type is ProgramType.RAW:
        start, end = e.context_address, e.context_address + e.length
    elif e.kind.context_name == "__sk_buff":
        start, end = _native(e, "data"), _native(e, "data_end")
        if offset < 0:
            start = _native(e, "network_header" if offset >= _FROM_NETWORK else "mac_header")
            offset -= _FROM_NETWORK if offset >= _FROM_NETWORK else _FROM_LINK
    else:
        raise Fault(f"loads from a packet in the classic way, which programs of type {e.kind.label} cannot do")
    if offset < 0 or start + offset + size > end:
        return None
    # What lies before the packet that the program sees, as its link-layer header may, is read only in this way.
    region = e.space.find(start + offset, size)
    if region is None:
        return None
    place = start + offset - region.address
    return int.from_bytes(e.view(region)[place : place + size], "big")


def _native(e: Execution, name: str) -> int:
    place = struct_type(SkbContext).fields[name].offset
    return int.from_bytes(e.context[place : place + 8], "little")
