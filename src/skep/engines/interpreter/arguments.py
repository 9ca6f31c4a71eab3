"""Checks what a program passes to a helper against the helper's prototype, before native code gets to see it.

A register that was never written, a pointer to less memory than the helper will touch, memory that may not be
written, a number where a map or a function is wanted: each is a fault that names the helper, the parameter and what
it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from skep.engines.interpreter import access
from skep.errors import Fault
from skep.lang import size_of, view
from skep.maps.layout import MapHead
from skep.memory import RegionKind
from skep.stdlib.prototype import ArgumentFlag, ArgumentKind, HelperPrototype

if TYPE_CHECKING:
    from skep.engines.interpreter.execution import Execution

#: Bytes of the structures that programs keep in their own memory for helpers, as the kernel defines them:
#: ``struct bpf_spin_lock``, ``bpf_timer``, a kernel pointer, ``bpf_dynptr``.
_SIZES: Final = {
    ArgumentKind.SPIN_LOCK: 4,
    ArgumentKind.TIMER: 16,
    ArgumentKind.KPTR_PLACE: 8,
    ArgumentKind.DYNPTR: 16,
}


@dataclass(slots=True)
class _Call:
    """A call while its arguments are looked at; ``map`` has the key and value size of the map among them."""

    e: Execution
    helper: HelperPrototype
    values: list[int]
    map: tuple[int, int] = (1, 1)

    def name(self, index: int) -> str:
        """An argument for a message: ``r2 (key)``."""
        parameters = self.helper.parameters
        return f"r{index + 1} ({parameters[index]})" if index < len(parameters) else f"r{index + 1}"

    def fault(self, problem: str) -> Fault:
        """A fault that begins with the helper's name."""
        return Fault(f"bpf_{self.helper.name}: {problem}")


@dataclass(frozen=True, slots=True)
class _Check:
    """What is checked of one argument, with what the check needs to know of the prototype at hand."""

    check: Callable[[_Call, _Check], None]
    index: int
    kind: ArgumentKind
    maybe_null: bool
    writes: bool
    is_aligned: bool
    size: int


def check_arguments(e: Execution, helper: HelperPrototype) -> list[int]:
    """The values of a helper's arguments, each of which is what the helper may be given. Raises Fault."""
    count = len(helper.arguments)
    values = e.registers[1 : count + 1]
    call = _Call(e, helper, values)  # type: ignore[arg-type]  # None is found below
    if None in values:
        raise call.fault(f"{call.name(values.index(None))} was never written (or not since the last call)")
    for check in _plan(helper):
        if values[check.index] or not check.maybe_null:
            check.check(call, check)
    return call.values


@cache
def _plan(helper: HelperPrototype) -> tuple[_Check, ...]:
    return tuple(
        _Check(
            _CHECKS[argument.kind],
            index,
            argument.kind,
            argument.maybe_null,
            ArgumentFlag.WRITE in argument.flags or argument.kind in _SIZES,
            ArgumentFlag.ALIGNED in argument.flags,
            argument.size,
        )
        for index, argument in enumerate(helper.arguments)
        if argument.kind in _CHECKS
    )


def _memory(call: _Call, check: _Check, size: int) -> None:
    """``size`` bytes must lie at an argument, and be writable if the helper writes them."""
    if not size:
        return
    address = call.values[check.index]
    try:
        access.reach(call.e, address, size, "writes" if check.writes else "reads", store=check.writes)
    except Fault as error:
        problem = f"bpf_{call.helper.name}: {call.name(check.index)}: it {error.problem}"
        raise Fault(problem, address=error.address, region=error.region) from None
    if check.is_aligned and address % size:
        raise call.fault(f"{call.name(check.index)} is {address:#x}, which is not aligned to {size} bytes")


def _map(call: _Call, check: _Check) -> None:
    address = call.values[check.index]
    found = call.e.code.map_at(address)
    if found is not None:
        call.map = found.spec.key_size, found.spec.value_size
        return
    # One that a map of maps holds has no name of its own in the program.
    region = call.e.space.find(address, size_of(MapHead))
    if region is None or region.kind is not RegionKind.MAP or region.address != address:
        raise call.fault(f"{call.name(check.index)} is {address:#x}, which is no map")
    head = view(MapHead, address)
    call.map = head.key_size, head.value_size


def _key(call: _Call, check: _Check) -> None:
    _memory(call, check, call.map[0])


def _value(call: _Call, check: _Check) -> None:
    _memory(call, check, call.map[1])


def _sized_memory(call: _Call, check: _Check) -> None:
    size = check.size
    if not size and check.index + 1 < len(call.values):
        size = call.values[check.index + 1]
    _memory(call, check, size)


def _size(call: _Call, check: _Check) -> None:
    if not call.values[check.index]:
        raise call.fault(f"{call.name(check.index)} is 0, and must be the size of some memory")


def _own_structure(call: _Call, check: _Check) -> None:
    _memory(call, check, _SIZES[check.kind])


def _somewhere(call: _Call, check: _Check) -> None:
    _memory(call, check, 1)


def _context(call: _Call, check: _Check) -> None:
    if call.values[check.index] != call.e.context_address:
        raise call.fault(f"{call.name(check.index)} is {call.values[check.index]:#x}, which is not the context")


def _function(call: _Call, check: _Check) -> None:
    value = call.values[check.index]
    if call.e.code.function_slot(value) is None:
        raise call.fault(f"{call.name(check.index)} is {value:#x}, which is no function of this program")


def _string(call: _Call, check: _Check) -> None:
    _memory(call, check, 1)
    address = call.values[check.index]
    low, _, bytes_there, _ = access.reach(call.e, address, 1, "reads", store=False)
    if 0 not in bytes_there[address - low :]:
        raise call.fault(f"{call.name(check.index)} is a string without an end: no zero byte follows in its memory")


_CHECKS: Final[Mapping[ArgumentKind, Callable[[_Call, _Check], None]]] = {
    ArgumentKind.MAP: _map,
    ArgumentKind.MAP_KEY: _key,
    ArgumentKind.MAP_VALUE: _value,
    ArgumentKind.MEMORY: _sized_memory,
    ArgumentKind.SIZE: _size,
    ArgumentKind.CONTEXT: _context,
    ArgumentKind.FUNCTION: _function,
    ArgumentKind.STACK: _somewhere,
    ArgumentKind.CONSTANT_STRING: _string,
    ArgumentKind.SPIN_LOCK: _own_structure,
    ArgumentKind.TIMER: _own_structure,
    ArgumentKind.KPTR_PLACE: _own_structure,
    ArgumentKind.DYNPTR: _own_structure,
    ArgumentKind.RINGBUF_MEMORY: _somewhere,
    ArgumentKind.SOCKET: _somewhere,
    ArgumentKind.SOCK_COMMON: _somewhere,
    ArgumentKind.BTF_SOCK_COMMON: _somewhere,
    ArgumentKind.BTF_ID: _somewhere,
    ArgumentKind.PERCPU_BTF_ID: _somewhere,
}
