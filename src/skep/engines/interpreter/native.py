"""Helpers as native functions: what the standard library has for a call, compiled once for the process.

The general form of each helper is used, which serves every map through its descriptor: the interpreter would gain
nothing from forms for one map, and the fewer functions there are to compile the sooner a program starts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from skep.errors import Fault
from skep.stdlib.prototype import HelperPrototype

if TYPE_CHECKING:
    from skep.engines.interpreter.execution import Execution
    from skep.objects.kinds import ProgramType


@dataclass(frozen=True, slots=True)
class NativeHelper:
    """A compiled helper: which of the things it can ask for it asks for, and how many BPF arguments it takes."""

    prototype: HelperPrototype
    function: Any
    needs_cpu: bool
    count: int

    def call(self, e: Execution, arguments: list[int]) -> int:
        """Call it; 0 from one without a result. Raises Fault where it needs a CPU and there is none."""
        passed = arguments[: self.count]
        if len(passed) < self.count:
            # A variadic helper: what stands behind the last argument of its prototype may never have been written.
            passed += [value or 0 for value in e.registers[len(passed) + 1 : self.count + 1]]
        if self.needs_cpu:
            if not e.cpu:
                raise Fault(f"bpf_{self.prototype.name} needs a CPU, and this run was given none")
            passed = [e.cpu, *passed]
        return self.function(*passed) or 0


def native_helper(helper: HelperPrototype, program_type: ProgramType) -> NativeHelper:
    """The native form of a helper. Raises UnsupportedError where the standard library has none."""
    # Imported when first needed, because it brings the compiler along.
    from skep.stdlib import CallSite, implementation

    function = implementation(helper.number, CallSite(program_type=program_type))
    names = [name for name, _ in function.parameters]
    needs_cpu = names[:1] == ["cpu"]
    return NativeHelper(helper, function, needs_cpu, len(names) - needs_cpu)
