"""Operators: arithmetic, comparison, truth and choice.

Every operator has the value that Python gives it, wrapped to the width of its operands, with two exceptions: division
by zero gives 0 (its remainder the dividend), and shift amounts count modulo the width. Both are what BPF instructions
do (RFC 9669, section 4.1).
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping

from skep.lang.expressions import Expressions
from skep.lang.types import (
    BOOL,
    IntType,
    PointerType,
    Type,
)
from skep.lang.values import FALSE, TRUE, Result, Value, constant, literal

_BINARY: Mapping[type[ast.operator], str] = {
    ast.Add: "add",
    ast.Sub: "sub",
    ast.Mult: "mul",
    ast.BitAnd: "and",
    ast.BitOr: "or",
    ast.BitXor: "xor",
}

_BITWISE = (ast.BitAnd, ast.BitOr, ast.BitXor)

_FOLD: Mapping[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.BitAnd: lambda a, b: a & b,
    ast.BitOr: lambda a, b: a | b,
    ast.BitXor: lambda a, b: a ^ b,
    ast.FloorDiv: lambda a, b: a // b if b else 0,
    ast.Mod: lambda a, b: a % b if b else a,
}

_COMPARE: Mapping[type[ast.cmpop], tuple[str, str, Callable[[int, int], bool]]] = {
    ast.Eq: ("eq", "eq", lambda a, b: a == b),
    ast.NotEq: ("ne", "ne", lambda a, b: a != b),
    ast.Lt: ("ult", "slt", lambda a, b: a < b),
    ast.LtE: ("ule", "sle", lambda a, b: a <= b),
    ast.Gt: ("ugt", "sgt", lambda a, b: a > b),
    ast.GtE: ("uge", "sge", lambda a, b: a >= b),
}


def binary(ex: Expressions, node: ast.expr, expected: Type | None) -> Result:
    """Two operands and an operator."""
    assert isinstance(node, ast.BinOp)
    left = ex.value(node.left)
    right = ex.value(node.right)
    if left.type is None and right.constant is None and isinstance(expected, IntType):
        # Only a shift takes its width from the left alone; for the rest ``right`` has decided already.
        left = ex.adapt(node.left, left, expected) if isinstance(node.op, ast.LShift | ast.RShift) else left
    return operate(ex, node, node.op, node.left, left, node.right, right)


def operate(
    ex: Expressions,
    node: ast.AST,
    operator: ast.operator,
    left_node: ast.expr,
    left: Value,
    right_node: ast.expr,
    right: Value,
) -> Value:
    """``left operator right``; the nodes are where errors point."""
    if isinstance(operator, ast.LShift | ast.RShift):
        return _shift(ex, node, operator, left, right_node, right)
    if isinstance(operator, ast.Div):
        raise ex.error(node, "there is no true division: write // for the whole part")
    if type(operator) not in _FOLD:
        raise ex.error(node, f"the operator {type(operator).__name__} is outside the language")
    if left.type is None and right.type is None:
        assert left.constant is not None
        assert right.constant is not None
        return literal(_FOLD[type(operator)](left.constant, right.constant))
    for operand_node, operand in ((left_node, left), (right_node, right)):
        if isinstance(operand.type, PointerType):
            raise ex.error(operand_node, f"a {operand.type} cannot be calculated with: write offset(p, n) or p[n]")
    bitwise = isinstance(operator, _BITWISE)
    if left.type is None:
        assert right.type is not None
        left = ex.adapt(left_node, left, right.type, bits_only=bitwise)
    elif right.type is None:
        right = ex.adapt(right_node, right, left.type, bits_only=bitwise)
    kind = left.type
    if kind is not right.type:
        raise ex.error(
            node, f"{kind} and {right.type} do not mix: convert one of them" + _pair_hint(kind, right.type)
        )
    if not (isinstance(kind, IntType) or (kind is BOOL and bitwise)):
        raise ex.error(node, f"a {kind} cannot be calculated with: convert it, as in u32(x)")
    if left.constant is not None and right.constant is not None:
        return constant(kind, _FOLD[type(operator)](left.constant, right.constant))
    if isinstance(operator, ast.FloorDiv | ast.Mod):
        assert isinstance(kind, IntType)
        return _divide(ex, kind, left, right, remainder=isinstance(operator, ast.Mod))
    text = ex.builder.assign(f"{_BINARY[type(operator)]} {kind.llvm} {left.text}, {right.text}")
    return Value(kind, text)


def _shift(
    ex: Expressions, node: ast.AST, operator: ast.operator, left: Value, right_node: ast.expr, right: Value
) -> Value:
    to_left = isinstance(operator, ast.LShift)
    if right.type is None and right.constant is not None and right.constant < 0:
        raise ex.error(right_node, f"a shift by {right.constant} goes the wrong way")
    if left.type is None:
        if right.constant is None or right.constant < 0:
            raise ex.error(node, f"the width of {left.text} is not known here: write u64({left.text})")
        if right.constant > 4096:
            raise ex.error(right_node, "a shift by so much fits no type")
        assert left.constant is not None
        return literal(left.constant << right.constant if to_left else left.constant >> right.constant)
    kind = left.type
    if not isinstance(kind, IntType):
        raise ex.error(node, f"a {kind} cannot be shifted")
    if not isinstance(right.type, IntType | None):
        raise ex.error(right_node, f"a shift amount is an integer, not a {right.type}")
    if right.constant is not None:
        if right.type is None and right.constant >= kind.bits:
            raise ex.error(right_node, f"a {kind} has {kind.bits} bits: it cannot be shifted by {right.constant}")
        places = right.constant % kind.bits
        if left.constant is not None:
            return constant(kind, left.constant << places if to_left else left.constant >> places)
        amount = str(places)
    else:
        wide_amount = ex.convert(right, kind).text
        amount = ex.builder.assign(f"and {kind.llvm} {wide_amount}, {kind.bits - 1}")
    word = "shl" if to_left else "ashr" if kind.signed else "lshr"
    return Value(kind, ex.builder.assign(f"{word} {kind.llvm} {left.text}, {amount}"))


def _divide(ex: Expressions, kind: IntType, left: Value, right: Value, *, remainder: bool) -> Value:
    emit = ex.builder.assign
    llvm, a, b = kind.llvm, left.text, right.text
    known = right.constant
    if known == 0:
        return left if remainder else constant(kind, 0)
    zero = None
    divisor = b
    if known is None:
        zero = emit(f"icmp eq {llvm} {b}, 0")
        divisor = emit(f"select i1 {zero}, {llvm} 1, {llvm} {b}")
    if not kind.signed:
        text = emit(f"{'urem' if remainder else 'udiv'} {llvm} {a}, {divisor}")
    else:
        text = _divide_signed(ex, llvm, a, b, divisor, known, remainder=remainder)
    if zero is not None:
        text = emit(f"select i1 {zero}, {llvm} {a if remainder else '0'}, {llvm} {text}")
    return Value(kind, text)


def _divide_signed(
    ex: Expressions, llvm: str, a: str, b: str, divisor: str, known: int | None, *, remainder: bool
) -> str:
    # The machine rounds towards zero and may trap on the lowest number divided by -1; Python rounds down.
    emit = ex.builder.assign
    if known == -1:
        return "0" if remainder else emit(f"sub {llvm} 0, {a}")
    minus = None
    if known is None:
        minus = emit(f"icmp eq {llvm} {b}, -1")
        divisor = emit(f"select i1 {minus}, {llvm} 1, {llvm} {divisor}")
    rest = emit(f"srem {llvm} {a}, {divisor}")
    uneven = emit(f"icmp ne {llvm} {rest}, 0")
    signs = emit(f"xor {llvm} {rest}, {divisor}")
    opposite = emit(f"icmp slt {llvm} {signs}, 0")
    adjust = emit(f"and i1 {uneven}, {opposite}")
    if remainder:
        moved = emit(f"add {llvm} {rest}, {divisor}")
        return emit(f"select i1 {adjust}, {llvm} {moved}, {llvm} {rest}")
    quotient = emit(f"sdiv {llvm} {a}, {divisor}")
    step = emit(f"sext i1 {adjust} to {llvm}")
    text = emit(f"add {llvm} {quotient}, {step}")
    if minus is None:
        return text
    negated = emit(f"sub {llvm} 0, {a}")
    return emit(f"select i1 {minus}, {llvm} {negated}, {llvm} {text}")


def unary(ex: Expressions, node: ast.expr, expected: Type | None) -> Result:
    """``not``, ``-``, ``+`` and ``~``."""
    assert isinstance(node, ast.UnaryOp)
    if isinstance(node.op, ast.Not):
        found = ex.condition(node.operand)
        if found.constant is not None:
            return FALSE if found.constant else TRUE
        return Value(BOOL, ex.builder.assign(f"xor i1 {found.text}, true"))
    found = ex.value(node.operand)
    if found.type is None:
        assert found.constant is not None
        return literal(-found.constant if isinstance(node.op, ast.USub) else
                       ~found.constant if isinstance(node.op, ast.Invert) else found.constant)  # fmt: skip
    if not isinstance(found.type, IntType):
        what = "write not x" if found.type is BOOL else "convert it first"
        raise ex.error(node, f"a {found.type} cannot be calculated with: {what}")
    if isinstance(node.op, ast.UAdd):
        return found
    negative = isinstance(node.op, ast.USub)
    if found.constant is not None:
        return constant(found.type, -found.constant if negative else ~found.constant)
    llvm = found.type.llvm
    code = f"sub {llvm} 0, {found.text}" if negative else f"xor {llvm} {found.text}, -1"
    return Value(found.type, ex.builder.assign(code))


def compare(ex: Expressions, node: ast.expr, expected: Type | None) -> Result:
    """A comparison, or a chain of them that stops at the first that fails."""
    assert isinstance(node, ast.Compare)
    left_node, left = node.left, ex.value(node.left)
    if len(node.ops) == 1:
        right_node = node.comparators[0]
        return _compare_two(ex, node, node.ops[0], left_node, left, right_node, ex.value(right_node))
    parts: list[Callable[[], Value]] = []

    def chain(operator: ast.cmpop, right_node: ast.expr) -> Callable[[], Value]:
        def compare() -> Value:
            nonlocal left, left_node
            right = ex.value(right_node)
            found = _compare_two(ex, node, operator, left_node, left, right_node, right)
            left, left_node = right, right_node
            return found

        return compare

    for operator, right_node in zip(node.ops, node.comparators, strict=True):
        parts.append(chain(operator, right_node))
    return _short_circuit(ex, parts, stop=False)


def _compare_two(
    ex: Expressions,
    node: ast.AST,
    operator: ast.cmpop,
    left_node: ast.expr,
    left: Value,
    right_node: ast.expr,
    right: Value,
) -> Value:
    row = _COMPARE.get(type(operator))
    if row is None:
        if isinstance(operator, ast.Is | ast.IsNot):
            raise ex.error(node, "identity is not compared: write == or, for a null pointer, `not p`")
        raise ex.error(node, "there are no containers: compare with each value, joined by or")
    unsigned, signed, fold = row
    if left.type is None and right.type is None:
        assert left.constant is not None
        assert right.constant is not None
        return TRUE if fold(left.constant, right.constant) else FALSE
    if left.type is None:
        assert right.type is not None
        left = ex.adapt(left_node, left, right.type)
    elif right.type is None:
        right = ex.adapt(right_node, right, left.type)
    kind = left.type
    if kind is not right.type:
        raise ex.error(
            node,
            f"{kind} and {right.type} cannot be compared: convert one of them" + _pair_hint(kind, right.type),
        )
    assert kind is not None
    if left.constant is not None and right.constant is not None:
        return TRUE if fold(left.constant, right.constant) else FALSE
    word = signed if isinstance(kind, IntType) and kind.signed else unsigned
    return Value(BOOL, ex.builder.assign(f"icmp {word} {kind.llvm} {left.text}, {right.text}"))


def boolean(ex: Expressions, node: ast.expr, expected: Type | None) -> Result:
    """``and`` or ``or``, which stop as soon as they know."""
    assert isinstance(node, ast.BoolOp)

    def part(operand: ast.expr) -> Callable[[], Value]:
        return lambda: ex.condition(operand)

    return _short_circuit(ex, [part(one) for one in node.values], stop=isinstance(node.op, ast.Or))


def _short_circuit(ex: Expressions, parts: list[Callable[[], Value]], *, stop: bool) -> Value:
    """The parts from left to right until one of them is ``stop``: ``or`` stops at true, ``and`` at false."""
    builder = ex.builder
    end = ""
    arrivals: list[str] = []
    for position, part in enumerate(parts):
        found = part()
        last = position == len(parts) - 1
        if found.constant is not None:
            if bool(found.constant) is not stop and not last:
                continue
            if not arrivals:
                return found
            last = True
        if last:
            if not arrivals:
                return found
            arrivals.append(f"[ {found.text}, %{builder.block} ]")
            break
        end = end or builder.label()
        rest = builder.label()
        arrivals.append(f"[ {'true' if stop else 'false'}, %{builder.block} ]")
        builder.branch(found.text, *((end, rest) if stop else (rest, end)))
        builder.start(rest)
    builder.jump(end)
    builder.start(end)
    return Value(BOOL, builder.assign(f"phi i1 {', '.join(arrivals)}"))


def choice(ex: Expressions, node: ast.expr, expected: Type | None) -> Result:
    """``a if condition else b``; a constant condition leaves one side unread."""
    assert isinstance(node, ast.IfExp)
    found = ex.condition(node.test)
    if found.constant is not None:
        return ex.result(node.body if found.constant else node.orelse, expected)
    builder = ex.builder
    yes, no, end = builder.label(), builder.label(), builder.label()
    builder.branch(found.text, yes, no)
    builder.start(yes)
    first = ex.value(node.body, expected)
    yes = builder.block
    builder.jump(end)
    builder.start(no)
    second = ex.value(node.orelse, expected)
    if first.type is None and second.type is None:
        raise ex.error(node, "the width of these literals is not known here: write u64(...) around one of them")
    if first.type is None:
        assert second.type is not None
        first = ex.adapt(node.body, first, second.type)
    elif second.type is None:
        second = ex.adapt(node.orelse, second, first.type)
    if first.type is not second.type:
        raise ex.error(node, f"the two sides are a {first.type} and a {second.type}: convert one of them")
    assert first.type is not None
    no = builder.block
    builder.jump(end)
    builder.start(end)
    llvm = first.type.llvm
    return Value(first.type, builder.assign(f"phi {llvm} [ {first.text}, %{yes} ], [ {second.text}, %{no} ]"))


def assignment(ex: Expressions, node: ast.expr, expected: Type | None) -> Result:
    """``:=``, which the language does not have."""
    raise ex.error(node, "an assignment stands on a line of its own")


def _pair_hint(left: Type | None, right: Type | None) -> str:
    if isinstance(left, IntType) and isinstance(right, IntType):
        wider = left if left.bits >= right.bits else right
        return f", as in {wider}(x)"
    return ""
