"""How each operation of ``operations`` is compiled: a row each.

A row is a function from the call to its result. Families of operations that differ in one word of LLVM share one.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Any

from skep.errors import LanguageError
from skep.lang import operations, surface
from skep.lang.expressions import Expressions, constant, is_scalar
from skep.lang.function import Table
from skep.lang.operations import Order
from skep.lang.types import (
    BOOL,
    I32,
    U64,
    VOID,
    ArrayType,
    FunctionType,
    IntType,
    PointerType,
    Type,
    pointer_type,
)
from skep.lang.values import Place, Result, Thing, Value, literal

Row = Callable[[Expressions, ast.Call, Type | None], Result]

_NOTHING = Value(VOID, "")


def _count(ex: Expressions, node: ast.Call, least: int, most: int | None = None) -> None:
    most = least if most is None else most
    if node.keywords:
        raise ex.error(node.keywords[0], "arguments of an operation have no names here")
    if not least <= len(node.args) <= most:
        wanted = str(least) if least == most else f"{least} to {most}"
        raise ex.error(node, f"this takes {wanted} arguments, not {len(node.args)}")


# Atomics

_LOAD_ORDERS = (Order.RELAXED, Order.ACQUIRE, Order.SEQ_CST)
_STORE_ORDERS = (Order.RELAXED, Order.RELEASE, Order.SEQ_CST)
_FENCE_ORDERS = (Order.ACQUIRE, Order.RELEASE, Order.ACQ_REL, Order.SEQ_CST)


def _order(ex: Expressions, node: ast.Call, position: int, allowed: tuple[Order, ...] = tuple(Order)) -> Order:
    if len(node.args) <= position:
        return Order.SEQ_CST
    found = ex.result(node.args[position])
    if not (isinstance(found, Thing) and isinstance(found.object, Order)):
        raise ex.error(
            node.args[position], "a memory order is needed here: RELAXED, ACQUIRE, RELEASE, ACQ_REL, SEQ_CST"
        )
    if found.object not in allowed:
        names = ", ".join(one.name for one in allowed)
        raise ex.error(node.args[position], f"the order is one of {names}, not {found.object.name}")
    return found.object


def _atomic_pointer(ex: Expressions, node: ast.Call) -> tuple[Value, IntType | PointerType]:
    pointer, kind = ex.pointer(node.args[0])
    if not isinstance(kind.pointee, IntType | PointerType):
        raise ex.error(node.args[0], f"atomic operations work on integers and pointers, not on a {kind.pointee}")
    return pointer, kind.pointee


def _atomic_load(ex: Expressions, node: ast.Call, expected: Type | None) -> Result:
    _count(ex, node, 1, 2)
    pointer, kind = _atomic_pointer(ex, node)
    order = _order(ex, node, 1, _LOAD_ORDERS)
    text = f"load atomic {kind.llvm}, ptr {pointer.text} {order.value}, align {kind.align}"
    return Value(kind, ex.builder.assign(text))


def _atomic_store(ex: Expressions, node: ast.Call, expected: Type | None) -> Result:
    _count(ex, node, 2, 3)
    pointer, kind = _atomic_pointer(ex, node)
    value = ex.value_of_type(node.args[1], kind, "the value")
    order = _order(ex, node, 2, _STORE_ORDERS)
    ex.builder.line(f"store atomic {kind.llvm} {value.text}, ptr {pointer.text} {order.value}, align {kind.align}")
    return _NOTHING


def _atomic_update(word: str, signed_word: str | None = None) -> Row:
    def row(ex: Expressions, node: ast.Call, expected: Type | None) -> Result:
        _count(ex, node, 2, 3)
        pointer, kind = _atomic_pointer(ex, node)
        if isinstance(kind, PointerType) and word != "xchg":
            raise ex.error(node.args[0], "this works on integers, not on pointers")
        value = ex.value_of_type(node.args[1], kind, "the value")
        order = _order(ex, node, 2)
        name = signed_word if signed_word is not None and isinstance(kind, IntType) and kind.signed else word
        text = f"atomicrmw {name} ptr {pointer.text}, {kind.llvm} {value.text} {order.value}, align {kind.align}"
        return Value(kind, ex.builder.assign(text))

    return row


#: What a failed comparison may keep of an order: it stores nothing, so it cannot release.
_FAILURE = {Order.RELEASE: Order.RELAXED, Order.ACQ_REL: Order.ACQUIRE}


def _compare_exchange(ex: Expressions, node: ast.Call, expected: Type | None) -> Result:
    _count(ex, node, 3, 4)
    pointer, kind = _atomic_pointer(ex, node)
    old = ex.value_of_type(node.args[1], kind, "the expected value")
    new = ex.value_of_type(node.args[2], kind, "the new value")
    order = _order(ex, node, 3)
    failure = _FAILURE.get(order, order)
    pair = ex.builder.assign(
        f"cmpxchg ptr {pointer.text}, {kind.llvm} {old.text}, {kind.llvm} {new.text} {order.value} {failure.value}, "
        f"align {kind.align}"
    )
    return Value(kind, ex.builder.assign(f"extractvalue {{ {kind.llvm}, i1 }} {pair}, 0"))


def _fence(ex: Expressions, node: ast.Call, expected: Type | None) -> Result:
    _count(ex, node, 0, 1)
    ex.builder.line(f"fence {_order(ex, node, 0, _FENCE_ORDERS).value}")
    return _NOTHING


def _compiler_fence(ex: Expressions, node: ast.Call, expected: Type | None) -> Result:
    _count(ex, node, 0)
    ex.builder.line('fence syncscope("singlethread") seq_cst')
    return _NOTHING


def _relax(ex: Expressions, node: ast.Call, expected: Type | None) -> Result:
    _count(ex, node, 0)
    hint = ex.scope.target.relax
    if hint is not None:
        ex.builder.line(hint)
    return _NOTHING


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
    low = emit(f"mul i64 {low_a}, {low_b}")
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
            raise ex.error(node, f"a product of {kind} cannot be checked on {ex.scope.target.arch}")
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


def _transfer(name: str) -> Row:
    def row(ex: Expressions, node: ast.Call, expected: Type | None) -> Result:
        _count(ex, node, 3)
        to, _ = ex.pointer(node.args[0])
        source, _ = ex.pointer(node.args[1])
        size = _size(ex, node.args[2])
        ex.builder.line(
            f"call void @llvm.{name}.p0.p0.i64(ptr {to.text}, ptr {source.text}, i64 {size.text}, i1 false)"
        )
        return _NOTHING

    return row


def _memory_set(ex: Expressions, node: ast.Call, expected: Type | None) -> Result:
    _count(ex, node, 3)
    to, _ = ex.pointer(node.args[0])
    byte = ex.value(node.args[1])
    if byte.type is None:
        assert byte.constant is not None
        text = str(byte.constant & 0xFF)
    else:
        integer, kind = (byte, byte.type) if isinstance(byte.type, IntType) else ex.integer(node.args[1])
        text = integer.text if kind.bits == 8 else ex.builder.assign(f"trunc {kind.llvm} {integer.text} to i8")
    size = _size(ex, node.args[2])
    ex.builder.line(f"call void @llvm.memset.p0.i64(ptr {to.text}, i8 {text}, i64 {size.text}, i1 false)")
    return _NOTHING


#: Up to this many bytes a comparison of known size is unrolled into words.
_UNROLL = 128


def _memory_equal(ex: Expressions, node: ast.Call, expected: Type | None) -> Result:
    _count(ex, node, 3)
    left, _ = ex.pointer(node.args[0])
    right, _ = ex.pointer(node.args[1])
    size = _size(ex, node.args[2])
    if size.constant is None or size.constant > _UNROLL:
        found = _compare_loop(ex, left.text, right.text, size.text)
        return Value(BOOL, ex.builder.assign(f"icmp eq i32 {found}, 0"))
    if size.constant == 0:
        return constant(BOOL, 1)
    emit = ex.builder.assign
    rest, at = size.constant, 0
    differences = []
    while rest:
        width = next(one for one in (8, 4, 2, 1) if one <= rest)
        llvm = f"i{8 * width}"
        words = []
        for base in (left.text, right.text):
            address = emit(f"getelementptr inbounds i8, ptr {base}, i64 {at}") if at else base
            words.append(emit(f"load {llvm}, ptr {address}, align 1"))
        difference = emit(f"xor {llvm} {words[0]}, {words[1]}")
        differences.append(difference if width == 8 else emit(f"zext {llvm} {difference} to i64"))
        rest, at = rest - width, at + width
    total = differences[0]
    for one in differences[1:]:
        total = emit(f"or i64 {total}, {one}")
    return Value(BOOL, emit(f"icmp eq i64 {total}, 0"))


def _memory_compare(ex: Expressions, node: ast.Call, expected: Type | None) -> Result:
    _count(ex, node, 3)
    left, _ = ex.pointer(node.args[0])
    right, _ = ex.pointer(node.args[1])
    return Value(I32, _compare_loop(ex, left.text, right.text, _size(ex, node.args[2]).text))


def _compare_loop(ex: Expressions, left: str, right: str, size: str) -> str:
    # A loop of its own, because the bpf target has no library to call; the first difference decides.
    builder = ex.builder
    head, body, following, end = builder.label(), builder.label(), builder.label(), builder.label()
    before, step = builder.block, builder.name()
    builder.jump(head)
    builder.start(head)
    at = builder.assign(f"phi i64 [ 0, %{before} ], [ {step}, %{following} ]")
    inside = builder.assign(f"icmp ult i64 {at}, {size}")
    builder.branch(inside, body, end)
    builder.start(body)
    bytes_found = []
    for base in (left, right):
        address = builder.assign(f"getelementptr inbounds i8, ptr {base}, i64 {at}")
        bytes_found.append(builder.assign(f"load i8, ptr {address}, align 1"))
    wide = [builder.assign(f"zext i8 {one} to i32") for one in bytes_found]
    difference = builder.assign(f"sub i32 {wide[0]}, {wide[1]}")
    same = builder.assign(f"icmp eq i32 {difference}, 0")
    builder.branch(same, following, end)
    builder.start(following)
    builder.line(f"{step} = add nuw i64 {at}, 1")
    builder.jump(head)
    builder.start(end)
    return builder.assign(f"phi i32 [ 0, %{head} ], [ {difference}, %{body} ]")


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
    place = ex.place(node.args[0], accessed=False)
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
    return Value(kind, ex.element(node.args[1], pointer.text, kind.pointee, index, inbounds=False))


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
    return ex.local_array(node, zero=True)


def _scratch(ex: Expressions, node: ast.Call, expected: Type | None) -> Result:
    _count(ex, node, 2)
    return ex.local_array(node, zero=False)


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
    operations.atomic_load: _atomic_load,
    operations.atomic_store: _atomic_store,
    operations.atomic_exchange: _atomic_update("xchg"),
    operations.atomic_compare_exchange: _compare_exchange,
    operations.atomic_add: _atomic_update("add"),
    operations.atomic_sub: _atomic_update("sub"),
    operations.atomic_and: _atomic_update("and"),
    operations.atomic_or: _atomic_update("or"),
    operations.atomic_xor: _atomic_update("xor"),
    operations.atomic_min: _atomic_update("umin", "min"),
    operations.atomic_max: _atomic_update("umax", "max"),
    operations.fence: _fence,
    operations.compiler_fence: _compiler_fence,
    operations.relax: _relax,
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
    operations.memory_copy: _transfer("memcpy"),
    operations.memory_move: _transfer("memmove"),
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
    bool: _truth,
    int: _int,
}
