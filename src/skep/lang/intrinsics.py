"""How each operation of ``operations`` is compiled: a row each.

A row is a function from the call to its result. Families of operations that differ in one word of LLVM share one.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Any

from skep.errors import LanguageError
from skep.lang import atomics, memory, operations, places, surface
from skep.lang.builder import Builder
from skep.lang.expressions import Expressions, argument_count
from skep.lang.function import Table
from skep.lang.scope import is_scalar
from skep.lang.target import Target
from skep.lang.types import (
    BOOL,
    I32,
    U8,
    U64,
    VOID,
    ArrayType,
    FunctionType,
    IntType,
    PointerType,
    Type,
    pointer_type,
)
from skep.lang.values import Place, Result, Thing, Value, constant, literal

Row = Callable[[Expressions, ast.Call, Type | None], Result]

_NOTHING = Value(VOID, "")
_count = argument_count

# Bits and arithmetic


def _operand(ex: Expressions, node: ast.Call, expected: Type | None) -> tuple[Value, IntType]:
    return ex.integer(node.args[0], expected)


def _two(ex: Expressions, node: ast.Call, expected: Type | None) -> tuple[Value, Value, IntType]:
    _count(ex, node, 2)
    return _alike(ex, node, ex.value(node.args[0]), ex.value(node.args[1]), expected)


def _alike(
    ex: Expressions, node: ast.Call, left: Value, right: Value, expected: Type | None
) -> tuple[Value, Value, IntType]:
    kind = left.type or right.type or expected
    if not isinstance(kind, IntType):
        raise ex.error(node, "integers of one type are needed here: write u64(...) around one of them")
    left = ex.adapt(node.args[0], left, kind)
    right = ex.adapt(node.args[1], right, kind)
    if left.type is not right.type:
        raise ex.error(node, f"{left.type} and {right.type} do not mix: convert one of them")
    return left, right, kind


def _reversed(kind: IntType, value: int) -> int:
    return int.from_bytes((value & (2**kind.bits - 1)).to_bytes(kind.size, "little"), "big")


def _swapped(ex: Expressions, node: ast.Call, expected: Type | None, *, always: bool) -> Result:
    _count(ex, node, 1)
    value, kind = _operand(ex, node, expected)
    if kind.bits == 8 or not (always or ex.scope.target.little_endian):
        return value
    if value.constant is not None:
        return constant(kind, _reversed(kind, value.constant))
    return Value(kind, ex.builder.assign(f"call {kind.llvm} @llvm.bswap.{kind.llvm}({kind.llvm} {value.text})"))


def _byte_swap(ex: Expressions, node: ast.Call, expected: Type | None) -> Result:
    return _swapped(ex, node, expected, always=True)


def _big_endian(ex: Expressions, node: ast.Call, expected: Type | None) -> Result:
    return _swapped(ex, node, expected, always=False)


def _opaque(emit: Callable[[str], str], value: str) -> str:
    """``value``, of which LLVM does not see where it comes from; it costs no instruction."""
    return emit(f'call i64 asm "", "=r,0"(i64 {value})')


def _bit_count(name: str, extra: str = "") -> Row:
    def row(ex: Expressions, node: ast.Call, expected: Type | None) -> Result:
        _count(ex, node, 1)
        value, kind = _operand(ex, node, expected)
        text = f"call {kind.llvm} @llvm.{name}.{kind.llvm}({kind.llvm} {value.text}{extra})"
        return Value(kind, ex.builder.assign(text))

    return row


def _rotate(name: str) -> Row:
    def row(ex: Expressions, node: ast.Call, expected: Type | None) -> Result:
        _count(ex, node, 2)
        value, kind = _operand(ex, node, expected)
        amount = ex.value(node.args[1])
        if amount.type is None:
            assert amount.constant is not None
            amount = constant(kind, amount.constant % kind.bits)
        if not isinstance(amount.type, IntType):
            raise ex.error(node.args[1], f"an amount is an integer, not a {amount.type}")
        text = ex.convert(amount, kind).text
        llvm = kind.llvm
        both = f"{llvm} {value.text}, {llvm} {value.text}"
        return Value(kind, ex.builder.assign(f"call {llvm} @llvm.{name}.{llvm}({both}, {llvm} {text})"))

    return row


def _multiply_high(ex: Expressions, node: ast.Call, expected: Type | None) -> Result:
    left, right, kind = _two(ex, node, expected)
    if kind.signed:
        raise ex.error(node, f"the upper half is that of unsigned integers: convert the {kind}")
    if left.constant is not None and right.constant is not None:
        return constant(kind, left.constant * right.constant >> kind.bits)
    emit = ex.builder.assign
    if kind.bits == 64 and not ex.scope.target.wide_multiply:
        return Value(kind, _multiply_high_by_halves(emit, left.text, right.text))
    wide = f"i{2 * kind.bits}"
    first = emit(f"zext {kind.llvm} {left.text} to {wide}")
    second = emit(f"zext {kind.llvm} {right.text} to {wide}")
    product = emit(f"mul nuw {wide} {first}, {second}")
    upper = emit(f"lshr {wide} {product}, {kind.bits}")
    return Value(kind, emit(f"trunc {wide} {upper} to {kind.llvm}"))


def _multiply_high_by_halves(emit: Callable[[str], str], left: str, right: str) -> str:
    mask = 0xFFFFFFFF
    low_a, high_a = emit(f"and i64 {left}, {mask}"), emit(f"lshr i64 {left}, 32")
    low_b, high_b = emit(f"and i64 {right}, {mask}"), emit(f"lshr i64 {right}, 32")
    # Opaque, or LLVM makes a 128-bit product of it again, which BPF has no code for.
    low = _opaque(emit, emit(f"mul i64 {low_a}, {low_b}"))
    middle = emit(f"mul i64 {high_a}, {low_b}")
    carry = emit(f"lshr i64 {low}, 32")
    middle = emit(f"add i64 {middle}, {carry}")
    other = emit(f"mul i64 {low_a}, {high_b}")
    part = emit(f"and i64 {middle}, {mask}")
    other = emit(f"add i64 {other}, {part}")
    high = emit(f"mul i64 {high_a}, {high_b}")
    upper = emit(f"lshr i64 {middle}, 32")
    high = emit(f"add i64 {high}, {upper}")
    last = emit(f"lshr i64 {other}, 32")
    return emit(f"add i64 {high}, {last}")


def _product_overflows(emit: Callable[[str], str], left: str, right: str, signed: bool) -> str:
    high = _multiply_high_by_halves(emit, left, right)
    if not signed:
        return emit(f"icmp ne i64 {high}, 0")
    # The signed upper half is the unsigned one less each operand where the other is negative.
    for one, other in ((left, right), (right, left)):
        sign = emit(f"ashr i64 {one}, 63")
        high = emit(f"sub i64 {high}, {emit(f'and i64 {sign}, {other}')}")
    low = emit(f"mul i64 {left}, {right}")
    return emit(f"icmp ne i64 {high}, {emit(f'ashr i64 {low}, 63')}")


def _signed_pair(unsigned: str, signed: str) -> Row:
    def row(ex: Expressions, node: ast.Call, expected: Type | None) -> Result:
        left, right, kind = _two(ex, node, expected)
        name = signed if kind.signed else unsigned
        llvm = kind.llvm
        return Value(
            kind, ex.builder.assign(f"call {llvm} @llvm.{name}.{llvm}({llvm} {left.text}, {llvm} {right.text})")
        )

    return row


def _overflows(unsigned: str, signed: str) -> Row:
    def row(ex: Expressions, node: ast.Call, expected: Type | None) -> Result:
        left, right, kind = _two(ex, node, expected)
        name = signed if kind.signed else unsigned
        llvm = kind.llvm
        if kind.bits == 64 and name in ("umul", "smul") and not ex.scope.target.wide_multiply:
            return Value(BOOL, _product_overflows(ex.builder.assign, left.text, right.text, kind.signed))
        pair = ex.builder.assign(
            f"call {{ {llvm}, i1 }} @llvm.{name}.with.overflow.{llvm}({llvm} {left.text}, {llvm} {right.text})"
        )
        return Value(BOOL, ex.builder.assign(f"extractvalue {{ {llvm}, i1 }} {pair}, 1"))

    return row


def _extreme(choose: Callable[[int, int], int], unsigned: str, signed: str) -> Row:
    def row(ex: Expressions, node: ast.Call, expected: Type | None) -> Result:
        _count(ex, node, 2)
        left, right = ex.value(node.args[0]), ex.value(node.args[1])
        if left.type is None and right.type is None:
            assert left.constant is not None
            assert right.constant is not None
            return literal(choose(left.constant, right.constant))
        left, right, kind = _alike(ex, node, left, right, expected)
        if left.constant is not None and right.constant is not None:
            return constant(kind, choose(left.constant, right.constant))
        name, llvm = signed if kind.signed else unsigned, kind.llvm
        text = f"call {llvm} @llvm.{name}.{llvm}({llvm} {left.text}, {llvm} {right.text})"
        return Value(kind, ex.builder.assign(text))

    return row


def _absolute(ex: Expressions, node: ast.Call, expected: Type | None) -> Result:
    _count(ex, node, 1)
    value, kind = _operand(ex, node, expected)
    if not kind.signed:
        return value
    return Value(
        kind, ex.builder.assign(f"call {kind.llvm} @llvm.abs.{kind.llvm}({kind.llvm} {value.text}, i1 false)")
    )


# Memory


def _size(ex: Expressions, node: ast.expr) -> Value:
    found = ex.value(node, U64)
    if not isinstance(found.type, IntType):
        raise ex.error(node, f"a size is an integer, not a {found.type}")
    if found.constant is not None and found.constant < 0:
        raise ex.error(node, "a size is not negative")
    return ex.convert(found, U64)


def _transfer(emit: Callable[[Builder, Target, str, str, Value], None]) -> Row:
    def row(ex: Expressions, node: ast.Call, expected: Type | None) -> Result:
        _count(ex, node, 3)
        to, _ = ex.pointer(node.args[0])
        source, _ = ex.pointer(node.args[1])
        emit(ex.builder, ex.scope.target, to.text, source.text, _size(ex, node.args[2]))
        return _NOTHING

    return row


def _memory_set(ex: Expressions, node: ast.Call, expected: Type | None) -> Result:
    _count(ex, node, 3)
    to, _ = ex.pointer(node.args[0])
    byte = ex.value(node.args[1])
    if byte.type is None:
        assert byte.constant is not None
        byte = constant(U8, byte.constant)
    if not isinstance(byte.type, IntType):
        raise ex.error(node.args[1], f"a byte is an integer, not a {byte.type}")
    memory.fill(ex.builder, ex.scope.target, to.text, ex.convert(byte, U8).text, _size(ex, node.args[2]))
    return _NOTHING


def _memory_equal(ex: Expressions, node: ast.Call, expected: Type | None) -> Result:
    _count(ex, node, 3)
    left, _ = ex.pointer(node.args[0])
    right, _ = ex.pointer(node.args[1])
    return memory.equal(ex.builder, left.text, right.text, _size(ex, node.args[2]))


def _memory_compare(ex: Expressions, node: ast.Call, expected: Type | None) -> Result:
    _count(ex, node, 3)
    left, _ = ex.pointer(node.args[0])
    right, _ = ex.pointer(node.args[1])
    return Value(I32, memory.compare(ex.builder, left.text, right.text, _size(ex, node.args[2])))


def _load_unaligned(ex: Expressions, node: ast.Call, expected: Type | None) -> Result:
    _count(ex, node, 1)
    pointer, kind = ex.pointer(node.args[0])
    if not is_scalar(kind.pointee):
        raise ex.error(node, f"a {kind.pointee} is no single value")
    return ex.builder.load(Place(kind.pointee, pointer.text, 1))


def _store_unaligned(ex: Expressions, node: ast.Call, expected: Type | None) -> Result:
    _count(ex, node, 2)
    pointer, kind = ex.pointer(node.args[0])
    if not is_scalar(kind.pointee):
        raise ex.error(node, f"a {kind.pointee} is no single value")
    value = ex.value_of_type(node.args[1], kind.pointee, "the value")
    ex.builder.store(Place(kind.pointee, pointer.text, 1), value.text)
    return _NOTHING


# Pointers and types


def _address_of(ex: Expressions, node: ast.Call, expected: Type | None) -> Result:
    _count(ex, node, 1)
    place = places.place(ex, node.args[0], accessed=False)
    if place.align < place.type.align:
        raise ex.error(node, f"this {place.type} may lie at any address, as it is packed: read or assign it by name")
    kind = place.type.element if isinstance(place.type, ArrayType) else place.type
    return Value(pointer_type(kind), place.pointer)


def _offset(ex: Expressions, node: ast.Call, expected: Type | None) -> Result:
    _count(ex, node, 2)
    pointer, kind = ex.pointer(node.args[0])
    index = ex.value(node.args[1])
    if index.constant == 0 and isinstance(index.type, IntType | None):
        return pointer
    return Value(kind, places.element(ex, node.args[1], pointer.text, kind.pointee, index, inbounds=False))


def _cast(ex: Expressions, node: ast.Call, expected: Type | None) -> Result:
    _count(ex, node, 2)
    kind = ex.type_argument(node.args[0])
    if not isinstance(kind, PointerType | FunctionType):
        raise ex.error(node.args[0], f"a cast makes a pointer, not a {kind}: convert with {kind}(x)")
    found = ex.value(node.args[1], U64 if isinstance(node.args[1], ast.Constant) else None)
    if found.type is None:
        found = ex.adapt(node.args[1], found, U64)
    if isinstance(found.type, PointerType | FunctionType):
        return Value(kind, found.text, found.constant)
    if not isinstance(found.type, IntType) or found.type.bits != 64:
        raise ex.error(node.args[1], f"an address has 64 bits, not those of a {found.type}: write u64(...)")
    if found.constant == 0:
        return constant(kind, 0)
    if found.constant is not None:
        return Value(kind, f"inttoptr (i64 {found.text} to ptr)")
    return Value(kind, ex.builder.assign(f"inttoptr i64 {found.text} to ptr"))


def _null(ex: Expressions, node: ast.Call, expected: Type | None) -> Result:
    _count(ex, node, 1)
    return constant(pointer_type(ex.type_argument(node.args[0])), 0)


def _measure(measure: Callable[[Type], int]) -> Row:
    def row(ex: Expressions, node: ast.Call, expected: Type | None) -> Result:
        _count(ex, node, 1)
        value = measure(ex.type_argument(node.args[0]))
        return literal(value)

    return row


def _offset_of(ex: Expressions, node: ast.Call, expected: Type | None) -> Result:
    _count(ex, node, 2)
    kind = ex.type_argument(node.args[0])
    field = node.args[1]
    owner: Any = getattr(kind, "python_class", None)
    if owner is None or not (isinstance(field, ast.Constant) and isinstance(field.value, str)):
        raise ex.error(node, 'write offset_of(Structure, "field")')
    try:
        value = surface.offset_of(owner, field.value)
    except LanguageError as error:
        raise ex.error(field, error.problem) from None
    return literal(value)


def _length(ex: Expressions, node: ast.Call, expected: Type | None) -> Result:
    _count(ex, node, 1)
    found = ex.result(node.args[0])
    if isinstance(found, Place) and isinstance(found.type, ArrayType):
        return literal(found.type.length)
    if isinstance(found, Thing) and isinstance(found.object, Table):
        return literal(len(found.object))
    raise ex.error(node, "only an array or a table has a length that is known")


def _character(ex: Expressions, node: ast.Call, expected: Type | None) -> Result:
    _count(ex, node, 1)
    text = node.args[0]
    if not (isinstance(text, ast.Constant) and isinstance(text.value, str) and len(text.value) == 1):
        raise ex.error(node, 'ord() takes one character in quotes: ord("%")')
    return literal(ord(text.value))


def _truth(ex: Expressions, node: ast.Call, expected: Type | None) -> Result:
    _count(ex, node, 1)
    return ex.condition(node.args[0])


# Hints


def _expectation(usual: str) -> Row:
    def row(ex: Expressions, node: ast.Call, expected: Type | None) -> Result:
        _count(ex, node, 1)
        found = ex.condition(node.args[0])
        if found.constant is not None:
            return found
        return Value(BOOL, ex.builder.assign(f"call i1 @llvm.expect.i1(i1 {found.text}, i1 {usual})"))

    return row


def _expect(ex: Expressions, node: ast.Call, expected: Type | None) -> Result:
    value, usual, kind = _two(ex, node, expected)
    if value.constant is not None:
        return value
    llvm = kind.llvm
    return Value(
        kind, ex.builder.assign(f"call {llvm} @llvm.expect.{llvm}({llvm} {value.text}, {llvm} {usual.text})")
    )


def _assume(ex: Expressions, node: ast.Call, expected: Type | None) -> Result:
    _count(ex, node, 1)
    found = ex.condition(node.args[0])
    ex.builder.line(f"call void @llvm.assume(i1 {found.text})")
    return _NOTHING


def _unreachable(ex: Expressions, node: ast.Call, expected: Type | None) -> Result:
    _count(ex, node, 0)
    ex.builder.line("unreachable")
    ex.scope.assigned = None
    return _NOTHING


def _prefetch(ex: Expressions, node: ast.Call, expected: Type | None) -> Result:
    _count(ex, node, 1, 2)
    pointer, _ = ex.pointer(node.args[0])
    write = ex.known(node.args[1], "whether it is written") if len(node.args) == 2 else 0
    if not ex.scope.target.is_bpf:
        ex.builder.line(f"call void @llvm.prefetch.p0(ptr {pointer.text}, i32 {int(bool(write))}, i32 3, i32 1)")
    return _NOTHING


def _array(ex: Expressions, node: ast.Call, expected: Type | None) -> Result:
    _count(ex, node, 2)
    return places.local_array(ex, node, zero=True)


def _scratch(ex: Expressions, node: ast.Call, expected: Type | None) -> Result:
    _count(ex, node, 2)
    return places.local_array(ex, node, zero=False)


def _target_is(ex: Expressions, node: ast.Call, expected: Type | None) -> Result:
    names = []
    for argument in node.args:
        if not (isinstance(argument, ast.Constant) and isinstance(argument.value, str)):
            raise ex.error(argument, 'an architecture is a name in quotes, such as "bpf"')
        names.append(argument.value)
    return constant(BOOL, int(ex.scope.target.arch in names))


def _int(ex: Expressions, node: ast.Call, expected: Type | None) -> Result:
    raise ex.error(node, "int has no width: write u64(x), i32(x) or another type")


#: Every operation: the object that the name stands for, and how its calls are compiled.
INTRINSICS: Mapping[object, Row] = {
    operations.atomic_load: atomics.load,
    operations.atomic_store: atomics.store,
    operations.atomic_exchange: atomics.update("xchg"),
    operations.atomic_compare_exchange: atomics.compare_exchange,
    operations.atomic_add: atomics.update("add"),
    operations.atomic_sub: atomics.update("sub"),
    operations.atomic_and: atomics.update("and"),
    operations.atomic_or: atomics.update("or"),
    operations.atomic_xor: atomics.update("xor"),
    operations.atomic_min: atomics.update("umin", "min"),
    operations.atomic_max: atomics.update("umax", "max"),
    operations.fence: atomics.fence,
    operations.compiler_fence: atomics.compiler_fence,
    operations.relax: atomics.relax,
    operations.byte_swap: _byte_swap,
    operations.big_endian: _big_endian,
    operations.leading_zeros: _bit_count("ctlz", ", i1 false"),
    operations.trailing_zeros: _bit_count("cttz", ", i1 false"),
    operations.popcount: _bit_count("ctpop"),
    operations.rotate_left: _rotate("fshl"),
    operations.rotate_right: _rotate("fshr"),
    operations.multiply_high: _multiply_high,
    operations.add_saturating: _signed_pair("uadd.sat", "sadd.sat"),
    operations.sub_saturating: _signed_pair("usub.sat", "ssub.sat"),
    operations.add_overflows: _overflows("uadd", "sadd"),
    operations.sub_overflows: _overflows("usub", "ssub"),
    operations.multiply_overflows: _overflows("umul", "smul"),
    operations.memory_copy: _transfer(memory.copy),
    operations.memory_move: _transfer(memory.move),
    operations.memory_set: _memory_set,
    operations.memory_compare: _memory_compare,
    operations.memory_equal: _memory_equal,
    operations.load_unaligned: _load_unaligned,
    operations.store_unaligned: _store_unaligned,
    operations.offset: _offset,
    operations.prefetch: _prefetch,
    operations.likely: _expectation("true"),
    operations.unlikely: _expectation("false"),
    operations.expect: _expect,
    operations.assume: _assume,
    operations.unreachable: _unreachable,
    operations.array: _array,
    operations.scratch: _scratch,
    operations.target_is: _target_is,
    surface.address_of: _address_of,
    surface.cast: _cast,
    surface.null: _null,
    surface.size_of: _measure(lambda kind: kind.size),
    surface.align_of: _measure(lambda kind: kind.align),
    surface.offset_of: _offset_of,
    min: _extreme(min, "umin", "smin"),
    max: _extreme(max, "umax", "smax"),
    abs: _absolute,
    len: _length,
    ord: _character,
    bool: _truth,
    int: _int,
}
