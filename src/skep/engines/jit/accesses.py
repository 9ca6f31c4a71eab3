"""Loads, stores and atomic operations as LLVM IR (RFC 9669, section 5; acquire and release as in Linux)."""

from __future__ import annotations

from skep.engines.jit.code import Code
from skep.engines.jit.inference import SIZES
from skep.engines.jit.kinds import Kind, Pointer
from skep.engines.jit.values import Value, number
from skep.errors import LoadError
from skep.isa.instruction import Instruction

#: ``imm`` of an atomic instruction without its fetch bit, and what LLVM calls the operation.
_READ_MODIFY_WRITE = {0x00: "add", 0x40: "or", 0x50: "and", 0xA0: "xor"}
FETCH = 0x01
EXCHANGE = 0xE1
COMPARE_EXCHANGE = 0xF1
LOAD_ACQUIRE = 0x100
STORE_RELEASE = 0x110


def pointer_at(code: Code, base: Value, offset: int) -> str:
    """The operand that is the address ``offset`` bytes from ``base``, which is not in the frame."""
    if base.element is not None and not offset:
        # What is accessed lies inside; LLVM recognises some tables only if it is told so.
        return code.emit(f"getelementptr inbounds i8, ptr {base.element[0]}, i64 {base.element[1]}")
    address = code.address(base)
    return code.emit(f"getelementptr i8, ptr {address}, i64 {offset}") if offset else address


def load(code: Code, address: str, size: int, align: int, kind: Kind, *, signed: bool = False) -> Value:
    """``size`` bytes from memory, extended to 64 bits; the value is an address if ``kind`` says so."""
    if size == 8:
        if isinstance(kind, Pointer):
            return Value(address=code.emit(f"load ptr, ptr {address}, align {align}"))
        return Value(wide=code.emit(f"load i64, ptr {address}, align {align}"))
    bits = 8 * size
    loaded = code.emit(f"load i{bits}, ptr {address}, align {align}")
    if signed:
        return Value(wide=code.emit(f"sext i{bits} {loaded} to i64"))
    return Value(word=loaded if size == 4 else code.emit(f"zext i{bits} {loaded} to i32"))


def store(code: Code, address: str, size: int, align: int, value: Value) -> None:
    """The lower ``size`` bytes of ``value`` to memory."""
    code.lines.append(f"store {operand(code, value, size)}, ptr {address}, align {align}")


def operand(code: Code, value: Value, size: int) -> str:
    """The lower ``size`` bytes of ``value`` with their type; an address as such, so that LLVM can follow it."""
    if size == 8:
        if value.wide is None and value.word is None:
            return f"ptr {code.address(value)}"
        return f"i64 {code.wide(value)}"
    if size == 4:
        return f"i32 {code.word(value)}"
    return f"i{8 * size} {code.narrow(value, size)}"


def atomic(
    code: Code, slot: int, instruction: Instruction, address: str, source: Value, expected: Value
) -> Value | None:
    """The atomic operation of ``instruction``; what it fetches, or None. ``expected`` is the value of r0."""
    size = SIZES[instruction.opcode >> 3 & 3]
    kind = f"i{8 * size}"
    operation = instruction.imm
    if operation == LOAD_ACQUIRE:
        loaded = code.emit(f"load atomic {kind}, ptr {address} acquire, align {size}")
        if size < 4:
            loaded = code.emit(f"zext {kind} {loaded} to i32")
        return Value(wide=loaded) if size == 8 else Value(word=loaded)
    if operation == STORE_RELEASE:
        value = f"i64 {code.wide(source)}" if size == 8 else operand(code, source, size)
        code.lines.append(f"store atomic {value}, ptr {address} release, align {size}")
        return None
    if size < 4:
        raise LoadError(f"an atomic operation cannot have {size} bytes", instruction=slot)
    value = code.wide(source) if size == 8 else code.word(source)
    if operation == COMPARE_EXCHANGE:
        old = code.wide(expected) if size == 8 else code.word(expected)
        pair = code.emit(f"cmpxchg ptr {address}, {kind} {old}, {kind} {value} seq_cst seq_cst, align {size}")
        found = code.emit(f"extractvalue {{ {kind}, i1 }} {pair}, 0")
    elif operation == EXCHANGE:
        found = code.emit(f"atomicrmw xchg ptr {address}, {kind} {value} seq_cst, align {size}")
    else:
        name = _READ_MODIFY_WRITE.get(operation & ~FETCH)
        if name is None:
            raise LoadError(f"atomic operation {operation:#x} does not exist", instruction=slot)
        # Without fetch the kernel's memory model asks for no order.
        order = "seq_cst" if operation & FETCH else "monotonic"
        found = code.emit(f"atomicrmw {name} ptr {address}, {kind} {value} {order}, align {size}")
        if not operation & FETCH:
            return None
    return Value(wide=found) if size == 8 else Value(word=found)


def zero() -> Value:
    """The value of a register that nothing assigned."""
    return number(0)
