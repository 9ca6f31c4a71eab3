"""What can be said of a program before any path is followed: its functions, its jumps, its wide loads.

The checks come in the order in which Linux makes them, because the first one that fails is the answer: callees,
jumps within their function, wide loads and opcodes. What an instruction's reserved fields hold is looked at only when
a path gets there (``reserved``).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from skep.isa.instruction import Instruction, Instructions, wide_immediate
from skep.isa.meaning import Branch, Call, Exit, Goto, MayGoto, WideLoad
from skep.isa.opcodes import LDDW
from skep.isa.row import Row
from skep.isa.table import row_of, rows_of_opcode
from skep.objects.kinds import MapType
from skep.objects.spec import MapReference, ProgramSpec
from skep.verifier.rejection import Rejection

#: Offsets from here on are refused everywhere, so that sums of them never overflow.
OFFSET_LIMIT = 1 << 29

_TAIL_CALL = 12
#: Instructions behind which control may go elsewhere than to the next slot.
_ELSEWHERE = (Exit, Goto, Branch, MayGoto, WideLoad)
_CLASS_LDX = 0x01
_MODES_LDX = (0x60, 0x80)
_CALL_CODE, _EXIT_CODE, _JUMP_CODES = 0x85, 0x95, (0x05, 0x06)


@dataclass(slots=True)
class Subprogram:
    """A function of the program: its slots, and what is found out about it on the way.

    ``stack_depth`` is how many bytes of its stack it uses. A callback is called by a helper or kernel function while
    the program waits, an asynchronous one when the program is over (on a stack of its own). An unreliable one is not
    given what its types say.
    """

    index: int
    name: str
    start: int
    end: int
    is_global: bool = False
    type_id: int = 0
    has_tail_call: bool = False
    has_packet_load: bool = False
    changes_packet: bool = False
    might_sleep: bool = False
    is_callback: bool = False
    is_asynchronous: bool = False
    is_exception_callback: bool = False
    unreliable: bool = False
    stack_depth: int = 0
    callees: dict[int, int] = field(default_factory=dict)


class Structure:
    """A program split into functions: ``rows`` gives the table row of each slot (None for the second of a wide load).

    ``of_slot`` is the index of the function that each slot belongs to.
    """

    def __init__(self, spec: ProgramSpec) -> None:
        self.spec = spec
        self.instructions: Instructions = spec.instructions
        self.rows: list[Row | None] = _rows(spec.instructions)
        self.subprograms = _subprograms(spec, self.rows)
        self.of_slot: list[int] = []
        for one in self.subprograms:
            self.of_slot += [one.index] * (one.end - one.start)
        self.by_start = {one.start: one for one in self.subprograms}
        for one in self.subprograms:
            _check_jumps(one, self.instructions)
        _check_loads_and_opcodes(spec)
        for slot, row in enumerate(self.rows):
            if row is not None and isinstance(row.meaning, Call) and row.meaning.target == "subprogram":
                callee = self.by_start[slot + 1 + self.instructions[slot].imm]
                self.subprograms[self.of_slot[slot]].callees[slot] = callee.index
        #: By slot, where control may go from it within its function; a call goes on behind it.
        self.successors: list[tuple[int, ...]] = [self._successors(slot) for slot in range(len(self.rows))]

    def _successors(self, slot: int) -> tuple[int, ...]:
        row = self.rows[slot]
        meaning = None if row is None else row.meaning
        if not isinstance(meaning, _ELSEWHERE):
            return (slot + 1,)
        match meaning:
            case Exit():
                return ()
            case Goto(far=far):
                instruction = self.instructions[slot]
                return (slot + 1 + (instruction.imm if far else instruction.offset),)
            case Branch() | MayGoto():
                target = slot + 1 + self.instructions[slot].offset
                return (slot + 1,) if target == slot + 1 else (slot + 1, target)
            case WideLoad():
                return (slot + 2,)


def _rows(instructions: Instructions) -> list[Row | None]:
    rows: list[Row | None] = []
    slot = 0
    while slot < len(instructions):
        rows.append(row_of(instructions[slot]))
        if instructions[slot].opcode == LDDW and slot + 1 < len(instructions):
            rows.append(None)
            slot += 1
        slot += 1
    return rows


def _subprograms(spec: ProgramSpec, rows: list[Row | None]) -> list[Subprogram]:
    """The functions that are called or whose address is taken, in the order of their slots."""
    count = len(spec.instructions)
    starts = {0}
    # Every slot is looked at by its bits alone, whatever stands before it.
    for slot, instruction in enumerate(spec.instructions):
        is_call = instruction.opcode == _CALL_CODE and instruction.src == 1
        is_function = instruction.opcode == LDDW and instruction.src == 4
        if not (is_call or is_function):
            continue
        target = slot + 1 + instruction.imm
        if not 0 <= target < count:
            raise Rejection("call to invalid destination", instruction=slot, target=target)
        starts.add(target)
    for function in spec.functions:
        starts.add(function.start)
    ordered = sorted(starts)
    known = {function.start: function for function in spec.functions}
    made = []
    for index, start in enumerate(ordered):
        end = ordered[index + 1] if index + 1 < len(ordered) else count
        described = known.get(start)
        if described is None:
            made.append(Subprogram(index, f"function at {start}", start, end))
        else:
            made.append(Subprogram(index, described.name, start, end, described.is_global, described.type_id))
    return made


def function_starts(spec: ProgramSpec) -> list[int]:
    """Where the functions of a program start; none where that cannot be told."""
    try:
        return [function.start for function in _subprograms(spec, _rows(spec.instructions))]
    except Rejection:
        return []


def _jump_distance(instruction: Instruction) -> int | None:
    """How far a slot jumps, by its bits alone; None for one that does not."""
    if instruction.opcode & 0x07 not in (0x05, 0x06) or instruction.opcode & 0xF0 in (0x80, 0x90):
        return None
    return instruction.imm if instruction.opcode == 0x06 else instruction.offset


def _check_jumps(function: Subprogram, instructions: Instructions) -> None:
    for slot in range(function.start, function.end):
        instruction = instructions[slot]
        opcode = instruction.opcode
        if opcode == _CALL_CODE and instruction.src == 0 and instruction.imm == _TAIL_CALL:
            function.has_tail_call = True
        if opcode & 0x07 == 0 and opcode & 0xE0 in (0x20, 0x40):
            function.has_packet_load = True
        distance = _jump_distance(instruction)
        if distance is not None:
            target = slot + 1 + distance
            if not function.start <= target < function.end:
                raise Rejection(f"jump out of range from insn {slot} to {target}", instruction=slot, target=target)
    last = instructions[function.end - 1].opcode
    if last != _EXIT_CODE and last not in _JUMP_CODES:
        raise Rejection("last insn is not an exit or jmp", instruction=function.end - 1, function=function.name)


def _check_loads_and_opcodes(spec: ProgramSpec) -> None:
    instructions = spec.instructions
    slot = 0
    while slot < len(instructions):
        one = instructions[slot]
        if one.opcode & 0x07 == _CLASS_LDX and (one.opcode & 0xE0 not in _MODES_LDX or one.imm):
            raise Rejection("BPF_LDX uses reserved fields", instruction=slot)
        if one.opcode == LDDW:
            _check_wide_load(spec, slot)
            slot += 2
            continue
        if not _is_opcode(one.opcode):
            raise Rejection(f"unknown opcode {one.opcode:02x}", instruction=slot)
        slot += 1


def _is_opcode(opcode: int) -> bool:
    entry = rows_of_opcode(opcode)
    return entry is not None and any(row.linux is not None for row in entry[1].values())


def _check_wide_load(spec: ProgramSpec, slot: int) -> None:
    instructions = spec.instructions
    low = instructions[slot]
    high = instructions[slot + 1] if slot + 1 < len(instructions) else None
    if high is None or high.opcode or high.dst or high.src or high.offset:
        raise Rejection("invalid bpf_ld_imm64 insn", instruction=slot)
    if low.offset:
        raise Rejection("BPF_LD_IMM64 uses reserved fields", instruction=slot)
    if low.src in (0, 3, 4):
        return
    if low.src > 6 or (low.src in (1, 5) and high.imm):
        raise Rejection("unrecognized bpf_ld_imm64 insn", instruction=slot)
    reference = spec.references.get(slot)
    if not isinstance(reference, MapReference):
        if low.src in (5, 6):
            raise Rejection("fd_idx without fd_array is invalid", instruction=slot)
        raise Rejection(f"fd {low.imm} is not pointing to valid bpf_map", instruction=slot)
    if low.src in (2, 6):
        offset = reference.offset if reference.offset is not None else wide_immediate(low, high) >> 32
        # The instruction has 32 bits for it.
        _check_direct_value(spec, reference.map, offset & 0xFFFFFFFF, slot)


def _check_direct_value(spec: ProgramSpec, name: str, offset: int, slot: int) -> None:
    map = spec.maps[name]
    if offset >= OFFSET_LIMIT:
        raise Rejection(f"direct value offset of {offset} is not allowed", instruction=slot, map=name)
    if map.type is MapType.ARENA:
        return
    if map.type not in (MapType.ARRAY, MapType.PERCPU_ARRAY):
        raise Rejection("no direct value access support for this map type", instruction=slot, map=name)
    if map.max_entries != 1 or offset >= map.value_size:
        raise Rejection(
            f"invalid access to map value pointer, value_size={map.value_size} off={offset}",
            instruction=slot,
            map=name,
        )
