"""From an instruction to its step: each is prepared once, a step is run each time a path comes by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skep.isa.instruction import Instruction, wide_immediate
from skep.isa.meaning import (
    AddressSpaceCast,
    Alu,
    Atomic,
    Branch,
    Call,
    Exit,
    Goto,
    Load,
    LoadAcquire,
    MayGoto,
    PacketLoad,
    Store,
    StoreRelease,
    Swap,
    WideLoad,
)
from skep.objects.kinds import MapType, ProgramType
from skep.objects.spec import MapReference
from skep.verifier.calls.functions import call_subprogram
from skep.verifier.calls.helper_calls import call_helper
from skep.verifier.calls.kfunc_calls import call_kfunc
from skep.verifier.maps.arenas import cast_address
from skep.verifier.numbers.scalar import constant
from skep.verifier.rejection import Rejection
from skep.verifier.states.register import ANY_NUMBER, NOTHING, Kind, Register, number, register
from skep.verifier.states.state import LOST
from skep.verifier.steps import accesses, ksyms, memory
from skep.verifier.steps.arithmetic_steps import alu, swap
from skep.verifier.steps.branches import branch, goto, may_goto
from skep.verifier.steps.checks import readable, writable
from skep.verifier.steps.reserved import bad_register, violation
from skep.verifier.steps.returns import check_nothing_held, end_early, leave
from skep.verifier.steps.step import Calling, Step

if TYPE_CHECKING:
    from skep.verifier.context import Context
    from skep.verifier.paths.exploration import Explorer
    from skep.verifier.structure import Structure

_PACKET_LOADERS = frozenset({ProgramType.SOCKET_FILTER, ProgramType.SCHED_CLS, ProgramType.SCHED_ACT})


def prepare(structure: Structure, context: Context) -> list[Step]:
    """A step for each slot."""
    return [_prepared(structure, context, slot) for slot in range(len(structure.instructions))]


def _prepared(structure: Structure, context: Context, slot: int) -> Step:
    instruction = structure.instructions[slot]
    row = structure.rows[slot]
    if slot and row is None and structure.rows[slot - 1] is not None:
        before = structure.rows[slot - 1]
        if before is not None and before.is_wide:
            return _refuse("invalid BPF_LD_IMM insn")
    if isinstance(None if row is None else row.meaning, MayGoto) and instruction.imm:
        return _refuse(f"invalid may_goto imm {instruction.imm}")
    if isinstance(None if row is None else row.meaning, MayGoto) and not (
        instruction.offset or context.rules.skips_nothing
    ):
        return _refuse(f"invalid may_goto off {instruction.offset} imm {instruction.imm}")
    if _is_packet_load(instruction) and context.type not in _PACKET_LOADERS:
        return _refuse("BPF_LD_[ABS|IND] instructions not allowed for this program type")
    refusal = violation(instruction, row)
    if refusal is not None or row is None:
        return _refuse(refusal or f"unknown opcode {instruction.opcode:02x}")
    wrong = bad_register(instruction, row)
    if wrong is not None:
        return _refuse(f"R{wrong} is invalid")
    match row.meaning:
        case Alu():
            return alu(instruction, row, slot, context.rules)
        case Swap():
            return swap(instruction, row)
        case Branch():
            return branch(instruction, row, slot, context.rules)
        case Goto(far=far):
            return goto(slot + 1 + (instruction.imm if far else instruction.offset))
        case MayGoto():
            return may_goto(instruction)
        case Load() | LoadAcquire():
            return memory.load(instruction, row, slot)
        case Store() | StoreRelease():
            return memory.store(instruction, row, slot)
        case Atomic():
            return memory.atomic(instruction, row)
        case WideLoad():
            return _wide_load(structure, context, slot, row.meaning)
        case PacketLoad(indirect=indirect):
            return _packet_load(instruction.src if indirect else None)
        case Call(target="helper"):
            return call_helper(instruction)
        case Call(target="subprogram"):
            return call_subprogram(instruction)
        case Call():
            return Calling(call_kfunc(context, slot, instruction))
        case Exit():
            return Calling(leave)
        case AddressSpaceCast():
            return cast_address(instruction)


def _is_packet_load(instruction: Instruction) -> bool:
    """Whether it is a legacy packet load, whatever its other fields hold."""
    return instruction.opcode & 0x07 == 0 and instruction.opcode & 0xE0 in (0x20, 0x40)


def _refuse(message: str) -> Step:
    def follow(explorer: Explorer) -> int:
        raise Rejection(message)

    return Calling(follow)


def _wide_load(structure: Structure, context: Context, slot: int, meaning: WideLoad) -> Step:
    instruction = structure.instructions[slot]
    dst = instruction.dst
    in_kernel = ksyms.loaded(context, slot, structure.instructions)
    loaded: Register
    match "kernel symbol" if in_kernel is not None else meaning.refers:
        case "number":
            loaded = number(constant(wide_immediate(instruction, structure.instructions[slot + 1])))
        case "map":
            loaded = register(Kind.MAP, subject=context.map_at(slot))
        case "map value":
            map = context.map_at(slot)
            reference = context.spec.references[slot]
            assert isinstance(reference, MapReference)
            if map.type is MapType.ARENA:
                # An address as user space has it: a number until it is cast.
                loaded = ANY_NUMBER
            else:
                loaded = register(Kind.MAP_VALUE, offset=reference.offset or 0, subject=map)
        case "function":
            callee = structure.by_start[slot + 1 + instruction.imm]
            if context.spec.btf is None:
                return _refuse("missing btf func_info")
            if callee.is_global:
                return _refuse("callback function not static")
            loaded = register(Kind.FUNCTION, subject=callee.index)
        case _:
            assert in_kernel is not None
            loaded = in_kernel

    def follow(explorer: Explorer) -> int:
        writable(explorer, dst)
        explorer.registers[dst] = loaded
        explorer.sources[dst] = 0
        return slot + 2

    return Calling(follow)


def _packet_load(index: int | None) -> Step:
    """The step of a legacy packet load; ``index`` is the register with the position, if one has it."""

    def follow(explorer: Explorer) -> int:
        readable(explorer, 6)
        check_nothing_held(explorer, "BPF_LD_[ABS|IND]")
        context = explorer.registers[6]
        if context.kind is not Kind.CONTEXT:
            raise Rejection("at the time of BPF_LD_ABS|IND R6 != pointer to skb", register=6)
        if index is not None:
            readable(explorer, index)
        accesses.check_unmodified(6, context)
        before = explorer.registers[0]
        explorer.registers[0:6] = (ANY_NUMBER, *(NOTHING,) * 5)
        explorer.sources[0] = LOST
        if len(explorer.state.frames) == 1:
            return explorer.index + 1
        # Where the load misses, the function returns 0 to its caller; in the program itself nothing comes after.
        explorer.fork(explorer.index + 1)
        return end_early(explorer, before, number(constant(0)))

    return Calling(follow)
