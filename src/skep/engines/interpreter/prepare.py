"""From a spec and a binding to :class:`Code`: each slot's template, with names replaced by what they stand for.

Only what can be seen without running is looked at, and only names that nothing is bound to are refused here.
An instruction that is no instruction becomes a fault for whoever reaches it: a program may carry bytes it never runs.
"""

from __future__ import annotations

from typing import Final

from skep.engines import Binding
from skep.engines.interpreter.code import Code
from skep.engines.interpreter.steps import Prepared
from skep.engines.interpreter.templates import refusal, template
from skep.errors import LoadError
from skep.isa import meaning as isa
from skep.isa.check import problem
from skep.isa.instruction import Instruction, wide_immediate
from skep.isa.meaning import MASK32, MASK64
from skep.isa.opcodes import FRAME_POINTER
from skep.isa.table import Row, registers_written, row_of
from skep.objects.spec import FunctionReference, KfuncReference, KsymReference, MapReference, ProgramSpec

#: What a wide load or a call that needs a name cannot do without.
_NAMELESS: Final = {
    "map": "names no map of this program: file descriptors and indices mean nothing here",
    "map value": "names no map of this program: file descriptors and indices mean nothing here",
    "kernel symbol": "names no kernel variable, and there is no kernel here to have one",
    "function": "takes the address of a function outside the program",
}


def prepare(spec: ProgramSpec, binding: Binding) -> Code:
    """Make a program ready. Raises LoadError where the binding lacks a map that the program names."""
    program = spec.instructions
    if not program:
        raise LoadError("the program has no instructions", file=spec.file, section=spec.section)
    slots: list[Prepared | None] = [None] * len(program)
    code = Code(spec, binding, slots)
    slot = 0
    while slot < len(program):
        slots[slot] = prepared = _prepare_slot(code, slot)
        slot = prepared.next
    return code


def _prepare_slot(code: Code, slot: int) -> Prepared:
    program = code.spec.instructions
    instruction = program[slot]
    following = program[slot + 1] if slot + 1 < len(program) else None
    row = row_of(instruction)
    clause = problem(instruction, following)
    if row is None or clause is not None:
        return Prepared(refusal(clause or "this is no instruction"), slot, slot + 1)
    after = slot + (2 if row.is_wide else 1)
    if row.writes and FRAME_POINTER in registers_written(instruction):
        return Prepared(refusal("writes r10, the frame pointer, which cannot be changed"), slot, after)
    number, has_number = _number(code, row, instruction, slot)
    if isinstance(number, str):
        return Prepared(refusal(number), slot, after)
    return Prepared(
        template(row.meaning, instruction),
        slot,
        after,
        dst=instruction.dst,
        src=instruction.src,
        base=instruction.src if isinstance(row.meaning, isa.Load | isa.LoadAcquire) else instruction.dst,
        offset=instruction.offset,
        number=number,
        has_number=has_number,
        target=_target(row.meaning, instruction, after),
    )


def _target(meaning: isa.Meaning, instruction: Instruction, after: int) -> int:
    if isinstance(meaning, isa.Goto):
        return after + (instruction.imm if meaning.far else instruction.offset)
    if isinstance(meaning, isa.Call):
        return after + instruction.imm
    return after + instruction.offset


def _number(code: Code, row: Row, instruction: Instruction, slot: int) -> tuple[int | str, bool]:
    """The immediate as the instruction uses it and whether it is the right operand; a text where it means nothing."""
    if isinstance(row.meaning, isa.WideLoad):
        return _wide(code, row.meaning, instruction, slot), True
    width = row.meaning.width if isinstance(row.meaning, isa.Alu | isa.Branch) else 64
    if row.operand == "imm":
        return instruction.imm & (MASK32 if width == 32 else MASK64), True
    return instruction.imm, False


def _wide(code: Code, meaning: isa.WideLoad, instruction: Instruction, slot: int) -> int | str:
    spec = code.spec
    high = spec.instructions[slot + 1]
    match spec.references.get(slot):
        case MapReference(name, offset):
            return _map_address(code, name, offset, slot)
        case FunctionReference(name):
            start = next((function.start for function in spec.functions if function.name == name), None)
            if start is None:
                raise _unbound(code, slot, f"the function {name!r}, which is not part of the program")
            return code.function_address(start)
        case KsymReference(name, weak):
            if weak:
                return 0
            raise _unbound(code, slot, f"the kernel variable {name!r}, which does not exist here")
        case KfuncReference(weak=weak):
            return 0 if weak else _NAMELESS["function"]
        case None:
            pass
    if meaning.refers == "number":
        return wide_immediate(instruction, high)
    start = slot + 1 + instruction.imm
    if meaning.refers == "function" and 0 <= start < len(spec.instructions):
        return code.function_address(start)
    return _NAMELESS[meaning.refers]


def _map_address(code: Code, name: str, offset: int | None, slot: int) -> int:
    found = code.binding.maps.get(name)
    if found is None:
        raise _unbound(code, slot, f"the map {name!r}, but no such map was made; bind every map in spec.maps")
    if offset is None:
        return found.address
    if found.values_address is None:
        raise _unbound(code, slot, f"a value of the map {name!r}, whose type keeps values at no fixed address")
    return found.values_address + offset


def _unbound(code: Code, slot: int, what: str) -> LoadError:
    line = code.spec.line_of(slot)
    return LoadError(
        f"the program refers to {what}",
        file=code.spec.file,
        section=code.spec.section,
        instruction=slot,
        source=None if line is None else f"{line.file}:{line.line}",
    )
