"""Arithmetic instructions as LLVM IR: every row of the classes ALU and ALU64 (RFC 9669, section 4.1).

Each operation is carried out in 32 bits where the kinds of its operands show that the upper halves are zero and stay
so; LLVM then needs no extensions, and divides four times as fast.
"""

from __future__ import annotations

from skep.engines.jit.code import Code
from skep.engines.jit.graph import ALU64
from skep.engines.jit.inference import bits_of
from skep.engines.jit.kinds import Kind, Pointer, Target
from skep.engines.jit.values import Value, number
from skep.isa.instruction import Instruction

ADD, SUB, MUL, DIV, OR, AND, LSH, RSH, NEG, MOD, XOR, MOV, ARSH, END = range(0x00, 0xE0, 0x10)

_PLAIN = {ADD: "add", SUB: "sub", MUL: "mul", OR: "or", AND: "and", XOR: "xor"}
#: Ways to put the two halves of a rotation together: they have no bit in common.
_JOINING = (OR, ADD, XOR)
_SHIFTS = {LSH: "shl", RSH: "lshr", ARSH: "ashr"}


def arithmetic(
    code: Code, instruction: Instruction, left: Value, right: Value, kinds: tuple[Kind, Kind, Kind]
) -> Value:
    """The result of ``instruction`` on the values of its registers (``right`` may be its immediate).

    ``kinds`` are those of left, right and the result.
    """
    operation = instruction.opcode & 0xF0
    wide = instruction.opcode & 7 == ALU64
    if operation == MOV:
        return _move(code, instruction, right, wide)
    if operation == END:
        return _byte_order(code, instruction, left, wide)
    if wide and operation in (ADD, SUB) and isinstance(kinds[2], Pointer):
        return _displaced(code, operation, left, right, kinds)
    if operation == NEG:
        return (
            Value(wide=code.emit(f"sub i64 0, {code.wide(left)}"))
            if wide
            else Value(word=code.emit(f"sub i32 0, {code.word(left)}"))
        )
    narrow = not wide or _fits(operation, instruction, left, right, kinds)
    if operation in _JOINING and left.shifted and right.shifted:
        rotated = _rotated(code, left.shifted, right.shifted, 32 if narrow else 64)
        if rotated is not None:
            return rotated
    if operation in _PLAIN:
        return _binary(code, _PLAIN[operation], left, right, narrow)
    if operation in _SHIFTS:
        return _shift(code, operation, left, right, kinds[0], narrow, 32 if not wide else 64)
    return _division(code, instruction, left, right, narrow)


def _binary(code: Code, name: str, left: Value, right: Value, narrow: bool) -> Value:
    if narrow:
        return Value(word=code.emit(f"{name} i32 {code.word(left)}, {code.word(right)}"))
    return Value(wide=code.emit(f"{name} i64 {code.wide(left)}, {code.wide(right)}"))


def _rotated(code: Code, left: tuple[str, str, int], right: tuple[str, str, int], width: int) -> Value | None:
    """The rotation that two halves of a number shifted past each other make together, None if they are no such thing.

    LLVM would find it as well, unless it had first merged one of the shifts with what stands before it.
    """
    if left[0] == "lshr":
        left, right = right, left
    if (left[0], right[0]) != ("shl", "lshr") or left[1] != right[1] or left[2] + right[2] != width:
        return None
    form = f"i{width}"
    result = code.emit(f"call {form} @llvm.fshl.{form}({form} {left[1]}, {form} {left[1]}, {form} {left[2]})")
    return Value(word=result) if width == 32 else Value(wide=result)


def _fits(
    operation: int, instruction: Instruction, left: Value, right: Value, kinds: tuple[Kind, Kind, Kind]
) -> bool:
    """Whether a 64-bit operation gives the same when carried out on the lower halves and zero-extended."""
    a, b, result = kinds
    if not isinstance(result, int) or result > 32:
        return False
    if operation == AND:
        return True
    if not isinstance(a, int) or not isinstance(b, int):
        return False
    if operation in (ADD, MUL, OR, XOR):
        return True
    if operation in (LSH, RSH, ARSH):
        return a <= 32 and right.constant is not None and right.constant & 63 < 32
    if operation in (DIV, MOD):
        limit = 31 if instruction.offset else 32
        return a <= limit and b <= limit
    return False


def _move(code: Code, instruction: Instruction, right: Value, wide: bool) -> Value:
    bits = instruction.offset
    if wide:
        if bits in (8, 16, 32):
            low = code.word(right) if bits == 32 else code.narrow(right, bits // 8)
            return Value(wide=code.emit(f"sext i{bits} {low} to i64"))
        return right.copy()
    if bits in (8, 16):
        return Value(word=code.emit(f"sext i{bits} {code.narrow(right, bits // 8)} to i32"))
    if right.constant is not None:
        return number(right.constant & 0xFFFFFFFF)
    return Value(word=code.word(right))


def _byte_order(code: Code, instruction: Instruction, left: Value, wide: bool) -> Value:
    """``bswap`` (class ALU64) and ``to big endian`` swap, ``to little endian`` only truncates on these machines."""
    bits = instruction.imm
    swap = wide or instruction.opcode & 8
    if bits == 64:
        return Value(wide=code.emit(f"call i64 @llvm.bswap.i64(i64 {code.wide(left)})")) if swap else left.copy()
    if bits == 32:
        low = code.word(left)
        return Value(word=code.emit(f"call i32 @llvm.bswap.i32(i32 {low})") if swap else low)
    low = code.narrow(left, 2)
    if swap:
        low = code.emit(f"call i16 @llvm.bswap.i16(i16 {low})")
    return Value(word=code.emit(f"zext i16 {low} to i32"))


def _displaced(code: Code, operation: int, left: Value, right: Value, kinds: tuple[Kind, Kind, Kind]) -> Value:
    """An address plus or minus a number."""
    pointer = kinds[0]
    if not isinstance(pointer, Pointer):
        left, right, pointer = right, left, kinds[1]
    if right.constant is not None:
        distance = right.constant - (1 << 64) if right.constant >> 63 else right.constant
        if operation == SUB:
            distance = -distance
        if left.frame is not None and isinstance(pointer, Pointer) and pointer.target is Target.STACK:
            return Value(frame=left.frame + distance)
        return Value(address=code.emit(f"getelementptr i8, ptr {code.address(left)}, i64 {distance}"))
    distance_operand = code.wide(right)
    if operation == SUB:
        distance_operand = code.emit(f"sub i64 0, {distance_operand}")
    address = code.address(left)
    result = Value(address=code.emit(f"getelementptr i8, ptr {address}, i64 {distance_operand}"))
    if address.startswith("@"):
        result.element = (address, distance_operand)
    return result


def _shift(code: Code, operation: int, left: Value, right: Value, left_kind: Kind, narrow: bool, width: int) -> Value:
    """A shift by the amount modulo the width of the *instruction*."""
    if operation == ARSH and isinstance(left_kind, int) and left_kind < width:
        operation = RSH
    name = _SHIFTS[operation]
    if right.constant is not None:
        amount = right.constant & (width - 1)
        operand = code.word(left) if narrow else code.wide(left)
        if narrow:
            result = Value(word=code.emit(f"{name} i32 {operand}, {amount}"))
        else:
            result = Value(wide=code.emit(f"{name} i64 {operand}, {amount}"))
        result.shifted = (name, operand, amount)
        return result
    if narrow:
        masked = code.emit(f"and i32 {code.word(right)}, 31")
        return Value(word=code.emit(f"{name} i32 {code.word(left)}, {masked}"))
    masked = code.emit(f"and i64 {code.wide(right)}, 63")
    return Value(wide=code.emit(f"{name} i64 {code.wide(left)}, {masked}"))


def _division(code: Code, instruction: Instruction, left: Value, right: Value, narrow: bool) -> Value:
    """Division by zero gives 0, modulo zero leaves the dividend, and the smallest number by -1 wraps."""
    signed = instruction.offset == 1
    quotient = instruction.opcode & 0xF0 == DIV
    kind = "i32" if narrow else "i64"
    a = code.word(left) if narrow else code.wide(left)
    b = code.word(right) if narrow else code.wide(right)

    def result(operand: str) -> Value:
        return Value(word=operand) if narrow else Value(wide=operand)

    name = ("sdiv" if quotient else "srem") if signed else ("udiv" if quotient else "urem")
    if right.constant is not None:
        divisor = int(b)
        if divisor == 0:
            return number(0) if quotient else result(a)
        if signed and divisor == -1:
            return result(code.emit(f"sub {kind} 0, {a}")) if quotient else number(0)
        return result(code.emit(f"{name} {kind} {a}, {b}"))
    zero = code.emit(f"icmp eq {kind} {b}, 0")
    before = code.label
    divide, after = code.labels("divide", "divided")
    code.lines.append(f"br i1 {zero}, label %{after}, label %{divide}")
    code.start(divide)
    if signed:
        minus = code.emit(f"icmp eq {kind} {b}, -1")
        b = code.emit(f"select i1 {minus}, {kind} 1, {kind} {b}")
    outcome = code.emit(f"{name} {kind} {a}, {b}")
    if signed and quotient:
        negated = code.emit(f"sub {kind} 0, {a}")
        outcome = code.emit(f"select i1 {minus}, {kind} {negated}, {kind} {outcome}")
    code.lines.append(f"br label %{after}")
    code.start(after)
    return result(code.emit(f"phi {kind} [ {'0' if quotient else a}, %{before} ], [ {outcome}, %{divide} ]"))


def immediate(instruction: Instruction) -> tuple[Value, Kind]:
    """The immediate of an instruction as the second operand, sign-extended to 64 bits, and its kind."""
    return number(instruction.imm), bits_of(instruction.imm)
