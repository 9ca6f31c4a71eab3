"""From an exception in the middle of a program to a fault that says where and why.

What goes wrong is noticed deep inside a step or a trace, which do not keep account of where they are: that would
cost time at every instruction. The Python frames on the exception's way up know it. A trace has registers as local
variables, and its line numbers map to slots; a stepping block and a single step hold the slot in a variable.
"""

from __future__ import annotations

from types import FrameType
from typing import TYPE_CHECKING, TypedDict

from skep.engines.interpreter import code as code_module
from skep.engines.interpreter.code import Code
from skep.engines.interpreter.fusion import TRACE_FILE
from skep.errors import Fault, SkepError
from skep.isa.disassembler import instruction_text as text_of
from skep.isa.opcodes import REGISTERS
from skep.isa.table import registers_read

if TYPE_CHECKING:
    from skep.engines.interpreter.execution import Execution


class Place(TypedDict):
    """The fields of an error that say where in a program it happened."""

    file: str | None
    section: str | None
    instruction: int
    source: str | None


def place(code: Code, slot: int) -> Place:
    """Where ``slot`` is, for an error."""
    line = code.spec.line_of(slot)
    source = None if line is None else f"{line.file}:{line.line}"
    return Place(file=code.spec.file, section=code.spec.section or None, instruction=slot, source=source)


def located(e: Execution, error: SkepError | TypeError) -> Exception:
    """The error to raise instead of ``error``, which came out of the execution; itself where nothing can be added.

    A TypeError is a register that was never written, if the instruction reads one, and else an error of this package.
    """
    if isinstance(error, Fault) and error.instruction is not None:
        return error
    slot, registers = _where(e, error)
    if isinstance(error, SkepError) and not isinstance(error, Fault):
        if error.instruction is None:
            where = place(e.code, slot)
            error.file, error.section = where["file"], where["section"]
            error.instruction, error.source = slot, where["source"]
        return error
    problem = error.problem if isinstance(error, Fault) else _unwritten(e.code, slot, registers)
    if problem is None:
        return error
    text = instruction_text(e.code, slot)
    return Fault(
        f"`{text}`: {problem}" if text else problem,
        text=text,
        registers=registers,
        address=error.address if isinstance(error, Fault) else None,
        region=error.region if isinstance(error, Fault) else None,
        **place(e.code, slot),
    )


def _where(e: Execution, error: BaseException) -> tuple[int, tuple[int | None, ...]]:
    """The slot at which ``error`` arose and the registers there, from the innermost frame that knows."""
    slot, registers = e.pc or 0, tuple(e.registers)
    trace = error.__traceback__
    while trace is not None:
        frame = trace.tb_frame
        if frame.f_code.co_filename == TRACE_FILE:
            slot, registers = frame.f_globals["LINES"][trace.tb_lineno], _registers_of_trace(e, frame)
        elif frame.f_code.co_filename == code_module.__file__ and "slot" in frame.f_locals:
            slot = frame.f_locals["slot"]
        trace = trace.tb_next
    return slot, registers


def _registers_of_trace(e: Execution, frame: FrameType) -> tuple[int | None, ...]:
    return tuple(frame.f_locals.get(f"r{number}", e.registers[number]) for number in range(REGISTERS))


def _unwritten(code: Code, slot: int, registers: tuple[int | None, ...]) -> str | None:
    for number in registers_read(code.spec.instructions[slot]):
        if registers[number] is None:
            return f"reads r{number}, which was never written (or not since the last call)"
    return None


def instruction_text(code: Code, slot: int) -> str:
    """The instruction at ``slot`` as assembly; empty where none begins."""
    program = code.spec.instructions
    if not 0 <= slot < len(program) or code.slots[slot] is None:
        return ""
    return text_of(program[slot], program[slot + 1] if slot + 1 < len(program) else None)
