"""Checks what a program passes to a helper against the helper's prototype, before native code gets to see it.

A register that was never written, a pointer to less memory than the helper will touch, memory that may not be
written, a number where a map or a function is wanted: each is a fault that names the helper, the parameter and what
it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from skep.engines.interpreter import access
from skep.errors import Fault
from skep.memory import RegionKind
from skep.objects.spec import MapSpec
from skep.stdlib.prototype import Argument, ArgumentFlag, ArgumentKind, HelperPrototype

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


@dataclass(frozen=True, slots=True)
class _Call:
    """A call while its arguments are looked at; ``map`` is the map among them, once it was seen."""

    e: Execution
    helper: HelperPrototype
    values: list[int]
    map: MapSpec | None

    def name(self, index: int) -> str:
        """An argument for a message: ``r2 (key)``."""
        parameters = self.helper.parameters
        return f"r{index + 1} ({parameters[index]})" if index < len(parameters) else f"r{index + 1}"

    def fault(self, problem: str) -> Fault:
        """A fault that begins with the helper's name."""
        return Fault(f"bpf_{self.helper.name}: {problem}")


def check_arguments(e: Execution, helper: HelperPrototype) -> list[int]:
    """The values of a helper's arguments, each of which is what the helper may be given. Raises Fault."""
    values: list[int] = []
    for index in range(len(helper.arguments)):
        value = e.registers[index + 1]
        if value is None:
            name = _Call(e, helper, values, None).name(index)
            raise Fault(f"bpf_{helper.name}: {name} was never written (or not since the last call)")
        values.append(value)
    call = _Call(e, helper, values, _map_of(e, helper, values))
    for index, argument in enumerate(helper.arguments):
        check = _CHECKS.get(argument.kind)
        if check is None or (argument.maybe_null and not values[index]):
            continue
        check(call, index, argument)
    return values


def _map_of(e: Execution, helper: HelperPrototype, values: list[int]) -> MapSpec | None:
    for argument, value in zip(helper.arguments, values, strict=True):
        if argument.kind is ArgumentKind.MAP:
            return next((one.spec for one in e.code.binding.maps.values() if one.address == value), None)
    return None


def _memory(call: _Call, index: int, size: int, argument: Argument) -> None:
    """``size`` bytes must lie at an argument, and be writable if the helper writes them."""
    if not size:
        return
    address, e = call.values[index], call.e
    store = ArgumentFlag.WRITE in argument.flags
    try:
        access.reach(e, address, size, "writes" if store else "reads", store=store)
    except Fault as error:
        problem = f"{call.name(index)}: it {error.problem}"
        raise Fault(f"bpf_{call.helper.name}: {problem}", address=error.address, region=error.region) from None
    if ArgumentFlag.ALIGNED in argument.flags and address % size:
        raise call.fault(f"{call.name(index)} is {address:#x}, which is not aligned to {size} bytes")


def _map(call: _Call, index: int, argument: Argument) -> None:
    region = call.e.space.find(call.values[index])
    if region is None or region.kind is not RegionKind.MAP or region.address != call.values[index]:
        raise call.fault(f"{call.name(index)} is {call.values[index]:#x}, which is no map")


def _key(call: _Call, index: int, argument: Argument) -> None:
    _memory(call, index, call.map.key_size if call.map else 1, argument)


def _value(call: _Call, index: int, argument: Argument) -> None:
    _memory(call, index, call.map.value_size if call.map else 1, argument)


def _sized_memory(call: _Call, index: int, argument: Argument) -> None:
    if argument.size:
        _memory(call, index, argument.size, argument)
    elif index + 1 < len(call.values):
        _memory(call, index, call.values[index + 1], argument)


def _size(call: _Call, index: int, argument: Argument) -> None:
    if not call.values[index]:
        raise call.fault(f"{call.name(index)} is 0, and must be the size of some memory")


def _own_structure(call: _Call, index: int, argument: Argument) -> None:
    _memory(call, index, _SIZES[argument.kind], Argument(argument.kind, argument.flags | ArgumentFlag.WRITE))


def _somewhere(call: _Call, index: int, argument: Argument) -> None:
    _memory(call, index, 1, argument)


def _context(call: _Call, index: int, argument: Argument) -> None:
    if call.values[index] != call.e.context_address:
        raise call.fault(f"{call.name(index)} is {call.values[index]:#x}, which is not the context")


def _function(call: _Call, index: int, argument: Argument) -> None:
    if call.e.code.function_slot(call.values[index]) is None:
        raise call.fault(f"{call.name(index)} is {call.values[index]:#x}, which is no function of this program")


def _string(call: _Call, index: int, argument: Argument) -> None:
    _memory(call, index, 1, argument)
    address = call.values[index]
    low, _, view = access.reach(call.e, address, 1, "reads", store=False)
    if 0 not in view[address - low :]:
        raise call.fault(f"{call.name(index)} is a string without an end: no zero byte follows in its memory")


_CHECKS: Final[Mapping[ArgumentKind, Callable[[_Call, int, Argument], None]]] = {
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
