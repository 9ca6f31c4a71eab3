"""Helpers as native functions: what the standard library has for a call, compiled when first called.

Where a helper is given a map, the form for that map is taken: the form that serves every map is much longer, and here
it is the time to compile it that counts. What was compiled is kept on
disk (``skep.codecache``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from skep.errors import Fault
from skep.stdlib.prototype import HelperPrototype

if TYPE_CHECKING:
    from skep.engines.interpreter.execution import Execution
    from skep.maps import Map
    from skep.objects.kinds import ProgramType


@dataclass(frozen=True, slots=True)
class NativeHelper:
    """A compiled helper: whether it wants the CPU, the address of the map's values if it does, its BPF arguments."""

    prototype: HelperPrototype
    function: Any
    needs_cpu: bool
    values: int | None
    count: int

    def call(self, e: Execution, arguments: list[int]) -> int:
        """Call it; 0 from one without a result. Raises Fault where it needs a CPU and there is none."""
        passed = arguments[: self.count]
        if self.values is not None:
            passed = [self.values, *passed]
        if len(passed) < self.count:
            # A variadic helper: what stands behind the last argument of its prototype may never have been written.
            passed += [value or 0 for value in e.registers[len(passed) + 1 : self.count + 1]]
        if self.needs_cpu:
            if not e.cpu:
                raise Fault(f"bpf_{self.prototype.name} needs a CPU, and this run was given none")
            passed = [e.cpu, *passed]
        return self.function(*passed) or 0


def native_helper(helper: HelperPrototype, program_type: ProgramType, map: Map | None) -> NativeHelper:
    """The native form of a helper, for one map if there is one. Raises UnsupportedError where there is none."""
    # Imported when first needed, because it brings the compiler along.
    from skep.stdlib import CallSite, implementation

    site = CallSite(program_type=program_type, map=None if map is None else map.spec)
    function = implementation(helper.number, site)
    names = [name for name, _ in function.parameters]
    needs_cpu = names[:1] == ["cpu"]
    wants_values = names[needs_cpu : needs_cpu + 1] == ["values"]
    values = map.values_address if map is not None and wants_values else None
    return NativeHelper(helper, function, needs_cpu, values, len(names) - needs_cpu - wants_values)
