"""A second, tiny interpreter: nothing but the instruction table's meanings, one after the other, for random programs.

It shares no code with the engines and knows only what :func:`tests.strategies.programs` makes: no helpers, no
context. Memory and stack lie at made-up addresses.
"""

from __future__ import annotations

from skep.isa import Instruction, registers_written, row_of, wide_immediate
from skep.isa import meaning as isa
from tests.strategies import RandomProgram

_MEMORY = 0x10_0000
_STACK = 0x20_0000
_FRAME = 0x1_0000
_MASK64 = (1 << 64) - 1


def evaluate(program: RandomProgram) -> tuple[int, bytes]:
    """r0 and the memory after a run."""
    memory = bytearray(program.memory)
    stack = bytearray(8 * 512)
    code = program.instructions
    registers = [0] * 11
    registers[1], registers[2], registers[10] = _MEMORY, len(memory), _STACK + 512
    calls: list[tuple[int, list[int]]] = []
    slot = 0

    def reach(address: int, size: int) -> tuple[bytearray, int]:
        place, start = (memory, _MEMORY) if address < _STACK else (stack, _STACK)
        assert start <= address <= start + len(place) - size
        return place, address - start

    def read(address: int, size: int) -> int:
        place, at = reach(address, size)
        return int.from_bytes(place[at : at + size], "little")

    def write(address: int, size: int, value: int) -> None:
        place, at = reach(address, size)
        place[at : at + size] = value.to_bytes(size, "little")

    while True:
        instruction = code[slot]
        row = row_of(instruction)
        assert row is not None
        dst, src = registers[instruction.dst], registers[instruction.src]
        operand = src if row.operand == "src" else isa.immediate_operand(instruction.imm)
        near = (dst + instruction.offset) & _MASK64
        far = (src + instruction.offset) & _MASK64
        slot += 1
        result: int | None = None
        match row.meaning:
            case isa.Alu() as meaning:
                result = meaning.compute(dst, operand)
            case isa.Swap() as meaning:
                result = meaning.compute(dst)
            case isa.Branch() as meaning:
                if meaning.taken(dst, operand):
                    slot += instruction.offset
            case isa.Goto(is_far):
                slot += instruction.imm if is_far else instruction.offset
            case isa.MayGoto():
                pass
            case isa.Load() as meaning:
                result = meaning.extend(read(far, meaning.size))
            case isa.LoadAcquire(size):
                result = read(far, size)
            case isa.Store() as meaning:
                write(near, meaning.size, meaning.truncate(operand))
            case isa.StoreRelease(size):
                write(near, size, src & ((1 << size * 8) - 1))
            case isa.Atomic() as meaning:
                old = read(near, meaning.size)
                write(near, meaning.size, meaning.update(old, src, registers[0]))
                if meaning.result is not None:
                    registers[0 if meaning.result == "r0" else instruction.src] = old
            case isa.WideLoad():
                result = wide_immediate(instruction, code[slot])
                slot += 1
            case isa.Call():
                calls.append((slot, registers[6:]))
                registers[10] += 512
                slot += instruction.imm
            case isa.Exit():
                if not calls:
                    return registers[0], bytes(memory)
                slot, registers[6:] = calls.pop()
            case other:
                raise AssertionError(other)
        if result is not None:
            (register,) = _destinations(instruction)
            registers[register] = result


def _destinations(instruction: Instruction) -> tuple[int, ...]:
    return registers_written(instruction)
