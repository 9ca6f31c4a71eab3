"""What stands around the paths in a log in the kernel's format: where functions start, live registers, the sums.

Level 2 begins with the functions and with the registers that are live before each instruction; every level ends with
the sums. How one instruction is written stands here too, as both the paths and the list of live registers need it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from skep.btf.types import Enumeration, Forward, Function, FunctionPrototype, Int, Pointer, Void
from skep.isa import log_text
from skep.isa.table import row_of
from skep.objects.spec import KfuncReference, ProgramSpec
from skep.verifier.answers.listing import helper_name
from skep.verifier.paths.flow import components
from skep.verifier.structure import function_starts

if TYPE_CHECKING:
    from skep.verifier.answers.report import Report
    from skep.verifier.context import Context
    from skep.verifier.structure import Structure

#: What level 4 adds to the sums.
SUMS: Final = 4
_LIMIT = 1_000_000
#: Messages that Linux prints without an end of line.
_WITHOUT_END = re.compile(
    r"expected prog array map for tail call|insn \d+ cannot call exception cb directly"
    r"|more than one arg with ref_obj_id .*"
)


def context_remarks(spec: ProgramSpec) -> list[str]:
    """What Linux remarks where the program is not declared as a global function would have to be: it returns no
    number, or takes its context as a pointer to nothing in particular."""
    btf = spec.btf
    function = btf[spec.functions[0].type_id] if btf is not None and spec.functions else None
    if btf is None or not isinstance(function, Function):
        return []
    prototype = btf[function.prototype]
    if not isinstance(prototype, FunctionPrototype):
        return []
    if not isinstance(btf.resolve(prototype.result), Int | Enumeration):
        return [f"Global function {function.name}() doesn't return scalar. Only those are supported."]
    if not prototype.parameters:
        return []
    pointer = btf.resolve(prototype.parameters[0].type)
    if not isinstance(pointer, Pointer):
        return []
    match btf.resolve(pointer.target):
        case Void():
            what = "UNKNOWN "
        case Forward(name=name):
            what = f"FWD {name}"
        case _:
            return []
    return [f"arg#0 reference type('{what}') size cannot be determined: -22"]


def log_of(report: Report, level: int, written: Sequence[str], depths: Sequence[int]) -> str:
    """The whole log: what was written on the way, and the sums; ``depths`` are bytes of stack by function."""
    lines = list(written)
    sums = []
    if level & SUMS:
        depth = "+".join(map(str, depths)) or "0"
        sums += [f"verification time {report.milliseconds * 1e3:.0f} usec", f"stack depth {depth}"]
    sums.append(
        f"processed {report.processed} insns (limit {_LIMIT}) max_states_per_insn {report.most_states} "
        f"total_states {report.total_states} peak_states {report.peak_states} mark_read 0"
    )
    if lines and _WITHOUT_END.fullmatch(lines[-1]):
        sums[0] = lines.pop() + sums[0]
    return "\n".join([*lines, *sums]) + "\n"


def instruction_of(spec: ProgramSpec, context: Context, index: int) -> str:
    """One instruction; the number in a call of a kernel function is that of its type."""
    instructions = spec.instructions
    instruction = instructions[index]
    following = instructions[index + 1] if index + 1 < len(instructions) else None
    reference = spec.references.get(index)
    kfunc = None
    if isinstance(reference, KfuncReference):
        kfunc = reference.name
        found = context.kernel_types.function(kfunc)
        instruction = instruction if found is None else replace(instruction, imm=found.id)
    return log_text(instruction, following, helpers=_helper_name, kfunc=kfunc)


def _helper_name(number: int) -> str | None:
    return helper_name(number) if number else "bpf_unspec"


def functions_of(spec: ProgramSpec) -> list[str]:
    """Where functions start, as level 2 prints it first."""
    return [f"func#{index} @{start}" for index, start in enumerate(function_starts(spec))]


def before_paths(spec: ProgramSpec, context: Context, structure: Structure, live: Sequence[int]) -> list[str]:
    """What level 2 prints first: where functions start, and which registers are live before each instruction.

    Before an instruction in a loop stands the number of that.
    """
    loops = components(structure)
    lines = functions_of(spec)
    lines.append("Live regs before insn:")
    slot = 0
    while slot < len(spec.instructions):
        row = row_of(spec.instructions[slot])
        marks = "".join(str(number) if live[slot] >> number & 1 else "." for number in range(10))
        loop = f"{loops[slot]:3}" if loops[slot] else "   "
        lines.append(f"{loop} {slot:3}: {marks} {instruction_of(spec, context, slot)}")
        slot += 2 if row is not None and row.is_wide else 1
    return lines
