"""Atomic operations: how each is compiled, for processors and for BPF.

BPF (RFC 9669, section 5.3, and LLVM's v4) has atomics of 32 and 64 bits with full order, loads that acquire and
stores that release, and no barrier. What it lacks is made of what it has: an atomic addition of 0 is a barrier and a
sequentially consistent load, an exchange such a store, a minimum a loop, and 8 and 16 bits are a part of a word.
LLVM ends the process when it is asked for an atomic operation that BPF lacks, so none may get that far.
"""

from __future__ import annotations

import ast
from collections.abc import Callable

from skep.lang import part_words
from skep.lang.expressions import Expressions, argument_count
from skep.lang.operations import Order
from skep.lang.types import U64, VOID, IntType, PointerType, Type
from skep.lang.values import Result, Thing, Value

Row = Callable[[Expressions, ast.Call, Type | None], Result]

_NOTHING = Value(VOID, "")

_LOAD_ORDERS = (Order.RELAXED, Order.ACQUIRE, Order.SEQ_CST)
_STORE_ORDERS = (Order.RELAXED, Order.RELEASE, Order.SEQ_CST)
_FENCE_ORDERS = (Order.ACQUIRE, Order.RELEASE, Order.ACQ_REL, Order.SEQ_CST)

#: What a failed comparison may keep of an order: it stores nothing, so it cannot release.
_FAILURE = {Order.RELEASE: Order.RELAXED, Order.ACQ_REL: Order.ACQUIRE}


def _order(ex: Expressions, node: ast.Call, position: int, allowed: tuple[Order, ...] = tuple(Order)) -> Order:
    if len(node.args) <= position:
        return Order.SEQ_CST
    found = ex.result(node.args[position])
    names = ", ".join(one.name for one in allowed)
    if not (isinstance(found, Thing) and isinstance(found.object, Order)):
        raise ex.error(node.args[position], f"a memory order is needed here: {names}")
    if found.object not in allowed:
        raise ex.error(node.args[position], f"the order is one of {names}, not {found.object.name}")
    return found.object


def _pointer(ex: Expressions, node: ast.Call) -> tuple[Value, IntType | PointerType]:
    pointer, kind = ex.pointer(node.args[0])
    if not isinstance(kind.pointee, IntType | PointerType):
        raise ex.error(node.args[0], f"atomic operations work on integers and pointers, not on a {kind.pointee}")
    ex.refuse_narrow(node.args[0], kind.pointee)
    return pointer, kind.pointee


def _exchange_if(ex: Expressions, kind: Type, pointer: str, old: str, new: str, order: Order) -> str:
    failure = _FAILURE.get(order, order)
    if ex.scope.target.is_bpf and isinstance(kind, IntType) and kind.bits < 32:
        return part_words.compare_exchange(ex.builder, kind, pointer, old, new, (order.value, failure.value))
    pair = ex.builder.assign(
        f"cmpxchg ptr {pointer}, {kind.llvm} {old}, {kind.llvm} {new} {order.value} {failure.value}, "
        f"align {kind.align}"
    )
    return ex.builder.assign(f"extractvalue {{ {kind.llvm}, i1 }} {pair}, 0")


def load(ex: Expressions, node: ast.Call, expected: Type | None) -> Result:
    """``atomic_load``."""
    argument_count(ex, node, 1, 2)
    pointer, kind = _pointer(ex, node)
    order = _order(ex, node, 1, _LOAD_ORDERS)
    if ex.scope.target.is_bpf and order is Order.SEQ_CST:
        if isinstance(kind, PointerType):
            return Value(kind, _exchange_if(ex, kind, pointer.text, "null", "null", order))
        return Value(kind, _update(ex, "add", kind, pointer.text, "0", order))
    text = f"load atomic {kind.llvm}, ptr {pointer.text} {order.value}, align {kind.align}"
    return Value(kind, ex.builder.assign(text))


def store(ex: Expressions, node: ast.Call, expected: Type | None) -> Result:
    """``atomic_store``."""
    argument_count(ex, node, 2, 3)
    pointer, kind = _pointer(ex, node)
    value = ex.value_of_type(node.args[1], kind, "the value")
    order = _order(ex, node, 2, _STORE_ORDERS)
    if ex.scope.target.is_bpf and order is Order.SEQ_CST:
        _update(ex, "xchg", kind, pointer.text, value.text, order)
        return _NOTHING
    ex.builder.line(f"store atomic {kind.llvm} {value.text}, ptr {pointer.text} {order.value}, align {kind.align}")
    return _NOTHING


def _update(ex: Expressions, name: str, kind: Type, pointer: str, value: str, order: Order) -> str:
    if ex.scope.target.is_bpf and isinstance(kind, IntType):
        if kind.bits < 32:
            orders = (order.value, _FAILURE.get(order, order).value)
            return part_words.update(ex.builder, name, kind, pointer, value, orders)
        if name in part_words.KEEPS_OLD:
            return _extreme_loop(ex, name, kind, pointer, value, order)
    text = f"atomicrmw {name} ptr {pointer}, {kind.llvm} {value} {order.value}, align {kind.align}"
    return ex.builder.assign(text)


def update(word: str, signed_word: str | None = None) -> Row:
    """The row of an atomic update that LLVM calls ``word``, or ``signed_word`` for signed integers."""

    def row(ex: Expressions, node: ast.Call, expected: Type | None) -> Result:
        argument_count(ex, node, 2, 3)
        pointer, kind = _pointer(ex, node)
        if isinstance(kind, PointerType) and word != "xchg":
            raise ex.error(node.args[0], "this works on integers, not on pointers")
        value = ex.value_of_type(node.args[1], kind, "the value")
        order = _order(ex, node, 2)
        name = signed_word if signed_word is not None and isinstance(kind, IntType) and kind.signed else word
        return Value(kind, _update(ex, name, kind, pointer.text, value.text, order))

    return row


def _extreme_loop(ex: Expressions, name: str, kind: Type, pointer: str, value: str, order: Order) -> str:
    builder, llvm = ex.builder, kind.llvm
    head, end = builder.label(), builder.label()
    first = builder.assign(f"load atomic {llvm}, ptr {pointer} monotonic, align {kind.align}")
    before, found = builder.block, builder.name()
    builder.jump(head)
    builder.start(head)
    old = builder.assign(f"phi {llvm} [ {first}, %{before} ], [ {found}, %{head} ]")
    keeps = builder.assign(f"icmp {part_words.KEEPS_OLD[name]} {llvm} {old}, {value}")
    new = builder.assign(f"select i1 {keeps}, {llvm} {old}, {llvm} {value}")
    # Stored even where nothing changes, so that the order holds.
    seen = _exchange_if(ex, kind, pointer, old, new, order)
    builder.line(f"{found} = freeze {llvm} {seen}")
    done = builder.assign(f"icmp eq {llvm} {found}, {old}")
    builder.branch(done, end, head)
    builder.start(end)
    return found


def compare_exchange(ex: Expressions, node: ast.Call, expected: Type | None) -> Result:
    """``atomic_compare_exchange``."""
    argument_count(ex, node, 3, 4)
    pointer, kind = _pointer(ex, node)
    old = ex.value_of_type(node.args[1], kind, "the expected value")
    new = ex.value_of_type(node.args[2], kind, "the new value")
    return Value(kind, _exchange_if(ex, kind, pointer.text, old.text, new.text, _order(ex, node, 3)))


def fence(ex: Expressions, node: ast.Call, expected: Type | None) -> Result:
    """``fence``."""
    argument_count(ex, node, 0, 1)
    order = _order(ex, node, 0, _FENCE_ORDERS)
    if ex.scope.target.is_bpf:
        if ex.scope.fence is None:
            ex.scope.fence = ex.builder.allocate(U64)
        _update(ex, "add", U64, ex.scope.fence, "0", Order.SEQ_CST)
    else:
        ex.builder.line(f"fence {order.value}")
    return _NOTHING


def compiler_fence(ex: Expressions, node: ast.Call, expected: Type | None) -> Result:
    """``compiler_fence``."""
    argument_count(ex, node, 0)
    ex.builder.line('call void asm sideeffect "", "~{memory}"()')
    return _NOTHING


def relax(ex: Expressions, node: ast.Call, expected: Type | None) -> Result:
    """``relax``."""
    argument_count(ex, node, 0)
    if ex.scope.target.relax is not None:
        ex.builder.line(ex.scope.target.relax)
    return _NOTHING
