"""Expressions: what they mean, whether their types agree, and their LLVM code, in one walk over the tree.

Every operator has the value that Python gives it, wrapped to the width of its operands, with two exceptions that
``docs/lang.md`` states: division by zero gives 0 (the remainder, the dividend), and shift amounts count modulo the
width. Both are what BPF instructions do (RFC 9669, section 4.1).
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from skep.errors import LanguageError
from skep.lang import memory
from skep.lang.builder import Builder
from skep.lang.function import ExternalFunction, Function, Table, Variable
from skep.lang.namespace import STRUCT_ATTRIBUTE, Namespace, evaluate, type_of
from skep.lang.source import Source
from skep.lang.target import Target
from skep.lang.types import (
    BOOL,
    I64,
    U64,
    VOID,
    ArrayType,
    BoolType,
    FunctionType,
    IntType,
    PointerType,
    StructType,
    Type,
    array_type,
    pointer_type,
)
from skep.lang.values import Place, Result, Thing, Value, literal

_TRUE = Value(BOOL, "true", 1)
_FALSE = Value(BOOL, "false", 0)

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

#: What to write instead of an expression that the language does not have.
_REFUSED: Mapping[type[ast.AST], str] = {
    ast.Lambda: "a lambda cannot be compiled: write a @function and name it",
    ast.ListComp: "there are no lists: write a loop over a local array(...)",
    ast.SetComp: "there are no sets: write a loop",
    ast.DictComp: "there are no dictionaries: write a loop",
    ast.GeneratorExp: "there are no generators: write a loop",
    ast.List: "there are no lists: write a local array(u8, 16)",
    ast.Dict: "there are no dictionaries: write a structure",
    ast.Set: "there are no sets",
    ast.Tuple: "a tuple is no value: assign its parts one by one, or make a table(u32, (...)) in the module",
    ast.JoinedStr: "there are no strings: write integers or a table(u8, ...)",
    ast.Await: "there is no await",
    ast.Yield: "there are no generators: write a loop",
    ast.YieldFrom: "there are no generators: write a loop",
    ast.Starred: "arguments are written one by one",
    ast.Slice: "there are no slices: pass address_of(a[i]) and a length",
}


class Local:
    """A variable of a function: its ``type`` once it is known, and where it is."""

    __slots__ = ("declared", "meaning", "type")

    def __init__(self) -> None:
        self.type: Type | None = None
        self.declared = False
        #: A Value never changes; a scalar Place is loaded; a structure or array is its Place.
        self.meaning: Value | Place | None = None


class Scope:
    """What a function's code may refer to, and what it turned out to need."""

    __slots__ = (
        "assigned",
        "builder",
        "externals",
        "fence",
        "functions",
        "locals",
        "namespace",
        "source",
        "tables",
        "target",
        "variables",
    )

    def __init__(self, source: Source, namespace: Namespace, target: Target) -> None:
        self.source = source
        self.namespace = namespace
        self.target = target
        self.builder = Builder()
        self.locals: dict[str, Local] = {}
        #: Names that certainly have a value here; None where control cannot be.
        self.assigned: set[str] | None = set()
        self.functions: dict[Function[..., Any], None] = {}
        self.externals: dict[str, FunctionType] = {}
        self.variables: dict[str, Variable] = {}
        self.tables: dict[str, str] = {}
        #: The word on the stack that barriers are made with where there are none.
        self.fence: str | None = None


def is_scalar(kind: Type) -> bool:
    """Whether a value of this type lives in a register."""
    return not isinstance(kind, StructType | ArrayType) and kind is not VOID


def constant(kind: Type, value: int) -> Value:
    """A known value of ``kind``, wrapped to its range."""
    if isinstance(kind, IntType):
        value = kind(value)
        return Value(kind, str(value), value)
    if isinstance(kind, BoolType):
        return _TRUE if value else _FALSE
    assert value == 0
    return Value(kind, "null", 0)


class Expressions:
    """Compiles expressions into a scope."""

    __slots__ = ("builder", "scope")

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.builder = scope.builder

    def error(self, node: ast.AST, problem: str) -> LanguageError:
        """An error that points at ``node``."""
        return self.scope.source.error(node, problem)

    def refuse_on_bpf(self, node: ast.AST, problem: str) -> None:
        """An error if the code is made for BPF, where it would refer to something outside itself."""
        if self.scope.target.is_bpf:
            raise self.error(node, f'this {problem}, which BPF code cannot: keep it behind `if not target_is("bpf")`')

    # What an expression is

    def result(self, node: ast.expr, expected: Type | None = None) -> Result:
        """Whatever ``node`` stands for. ``expected`` gives literals a width where nothing else does."""
        method = _EXPRESSIONS.get(type(node))
        if method is None:
            raise self.error(node, _REFUSED.get(type(node), f"{type(node).__name__} is outside the language"))
        return method(self, node, expected)

    def value(self, node: ast.expr, expected: Type | None = None) -> Value:
        """The scalar that ``node`` has; an integer literal takes the type ``expected`` if that is given."""
        return self.scalar(node, self.result(node, expected), expected)

    def scalar(self, node: ast.expr, found: Result, expected: Type | None = None) -> Value:
        """``found``, which ``node`` stands for, as a scalar."""
        if isinstance(found, Place):
            if not is_scalar(found.type):
                raise self.error(
                    node, f"a {found.type} is no single value: write address_of(...) or one of its fields"
                )
            found = self.builder.load(found)
        elif isinstance(found, Thing):
            found = self._thing_value(node, found.object)
        if found.type is VOID:
            raise self.error(node, "this returns nothing: it stands on a line of its own")
        if found.type is None and expected is not None:
            return self.adapt(node, found, expected)
        return found

    def typed(self, node: ast.expr, expected: Type | None = None) -> tuple[Value, Type]:
        """The scalar that ``node`` has and its type; a literal without a width is an error."""
        found = self.value(node, expected)
        if found.type is None:
            raise self.error(node, f"the width of {found.text} is not known here: write u64({found.text})")
        return found, found.type

    def value_of_type(self, node: ast.expr, kind: Type, what: str) -> Value:
        """The scalar that ``node`` has, which must be a ``kind``."""
        found = self.value(node, kind)
        if found.type is not kind:
            raise self.error(node, f"{what} is a {kind}, not a {found.type}" + _hint(found.type, kind))
        return found

    def integer(self, node: ast.expr, expected: Type | None = None) -> tuple[Value, IntType]:
        """A typed integer."""
        found, kind = self.typed(node, expected if isinstance(expected, IntType) else None)
        if not isinstance(kind, IntType):
            raise self.error(node, f"an integer is needed here, not a {kind}" + _hint(kind, U64))
        return found, kind

    def pointer(self, node: ast.expr) -> tuple[Value, PointerType]:
        """A pointer."""
        found, kind = self.typed(node)
        if not isinstance(kind, PointerType):
            raise self.error(node, f"a pointer is needed here, not a {kind}")
        return found, kind

    def known(self, node: ast.expr, what: str) -> int:
        """An integer that is known when the function is compiled."""
        found = self.value(node)
        if found.constant is None or isinstance(found.type, PointerType | FunctionType):
            raise self.error(node, f"{what} is a constant")
        return found.constant

    def condition(self, node: ast.expr) -> Value:
        """``node`` as a truth value: an integer is true if it is not 0, a pointer if it is not null."""
        return self.truth(self.value(node, BOOL if isinstance(node, ast.IfExp) else None))

    def truth(self, found: Value) -> Value:
        """The truth of a value."""
        if found.type is BOOL:
            return found
        if found.constant is not None:
            return _TRUE if found.constant else _FALSE
        if isinstance(found.type, PointerType | FunctionType):
            return Value(BOOL, self.builder.assign(f"icmp ne ptr {found.text}, null"))
        assert isinstance(found.type, IntType)
        return Value(BOOL, self.builder.assign(f"icmp ne {found.type.llvm} {found.text}, 0"))

    def adapt(self, node: ast.expr, found: Value, kind: Type, *, bits_only: bool = False) -> Value:
        """A literal as a ``kind``; with ``bits_only`` a negative one may stand for the bits of an unsigned type."""
        if found.type is not None:
            return found
        assert found.constant is not None
        if not isinstance(kind, IntType):
            raise self.error(node, f"a {kind} is needed here, not the integer {found.constant}")
        lowest = -(1 << (kind.bits - 1)) if bits_only else kind.minimum
        if not lowest <= found.constant <= kind.maximum:
            raise self.error(
                node, f"{found.constant} does not fit a {kind}: write {kind}({found.constant}) to wrap it"
            )
        return constant(kind, found.constant)

    # Names and constants

    def _name(self, node: ast.expr, expected: Type | None) -> Result:
        assert isinstance(node, ast.Name)
        name = node.id
        local = self.scope.locals.get(name)
        if local is not None:
            assigned = self.scope.assigned
            if assigned is not None and name not in assigned:
                raise self.error(node, f"{name} may have no value here: assign it on every path that leads here")
            assert local.meaning is not None
            return local.meaning
        try:
            return self.classify(self.scope.namespace[name])
        except KeyError:
            raise self.error(node, f"{name} is not defined") from None

    def classify(self, found: object) -> Result:
        """What an object of Python is in the language."""
        if isinstance(found, bool):
            return _TRUE if found else _FALSE
        if isinstance(found, int):
            return literal(int(found))
        return Thing(found)

    def _constant(self, node: ast.expr, expected: Type | None) -> Result:
        assert isinstance(node, ast.Constant)
        if isinstance(node.value, int):
            return self.classify(node.value)
        if node.value is None:
            raise self.error(node, "None is no value: a null pointer is null(T), and `not p` asks for it")
        kind = type(node.value).__name__
        if isinstance(node.value, float | complex):
            raise self.error(node, f"there is no {kind}: scale it to an integer")
        raise self.error(node, f"a {kind} is no value of the language: write integers or a table(u8, ...)")

    def _thing_value(self, node: ast.expr, found: object) -> Value:
        if isinstance(found, Function):
            return self.function_value(found)
        if isinstance(found, ExternalFunction):
            self.refuse_on_bpf(node, f"names the C function {found.symbol}")
            self.scope.externals[found.symbol] = found.type
            return Value(found.type, f'@"{found.symbol}"')
        if isinstance(found, Variable):
            self.refuse_on_bpf(node, "names a variable of the module")
            self.scope.variables[found.symbol] = found
            pointee = found.type.element if isinstance(found.type, ArrayType) else found.type
            return Value(pointer_type(pointee), f'@"{found.symbol}"')
        if isinstance(found, Table):
            self.refuse_on_bpf(node, "reads a table")
            return Value(pointer_type(found.element), self.table_symbol(found))
        if isinstance(found, IntType) or found is bool:
            raise self.error(node, "a type is no value: call it to convert, as in u64(x)")
        if isinstance(found, str | bytes | float | list | dict | set | tuple):
            kind = type(found).__name__
            raise self.error(node, f"a {kind} is no value of the language: use integers or a table(u32, ...)")
        shown = getattr(found, "__name__", None) or type(found).__name__
        raise self.error(node, f"{shown} is no value of the language")

    def function_value(self, found: Function[..., Any]) -> Value:
        """The address of a function."""
        self.scope.functions[found] = None
        return Value(found.type, f'@"{found.symbol}"')

    def table_symbol(self, found: Table) -> str:
        """The symbol of a constant table, which is named for its contents."""
        kind = found.element
        data = ", ".join(f"{kind.llvm} {value}" for value in found.values)
        digest = content_name(f"{kind} {found.values}")
        symbol = f'@"table.{digest}"'
        shape = f"[{len(found.values)} x {kind.llvm}]"
        self.scope.tables[symbol] = (
            f"{symbol} = linkonce_odr hidden unnamed_addr constant {shape} [{data}], align {kind.align}"
        )
        return symbol

    # Places

    def place(self, node: ast.expr, *, accessed: bool = True) -> Place:
        """The memory that ``node`` names; unless it is ``accessed`` here, it need not lie inside any object."""
        if isinstance(node, ast.Attribute):
            found = self._attribute(node, None, accessed)
        elif isinstance(node, ast.Subscript):
            found = self._subscript(node, None, accessed)
        else:
            found = self.result(node)
        if isinstance(found, Place) and not (isinstance(node, ast.Name) and is_scalar(found.type)):
            return found
        if isinstance(node, ast.Name) and not isinstance(found, Thing):
            raise self.error(node, f"{node.id} is a value without an address: put it in a structure or an array")
        raise self.error(node, "this has no address: name a field, an element, or a local structure or array")

    def _attribute(self, node: ast.expr, expected: Type | None, accessed: bool = True) -> Result:
        assert isinstance(node, ast.Attribute)
        owner = self.result(node.value)
        if isinstance(owner, Thing) and not isinstance(owner.object, Variable | Table):
            if isinstance(owner.object, Enum) and node.attr == "value":
                return self.classify(owner.object.value)
            try:
                return self.classify(getattr(owner.object, node.attr))
            except AttributeError:
                shown = getattr(owner.object, "__name__", type(owner.object).__name__)
                raise self.error(node, f"{shown} has no attribute {node.attr}") from None
        if isinstance(owner, Thing):
            owner = self._thing_value(node.value, owner.object)
        if isinstance(owner, Place) and isinstance(owner.type, PointerType):
            owner = self.builder.load(owner)
        if isinstance(owner, Value):
            if not isinstance(owner.type, PointerType):
                raise self.error(node, f"a {owner.type or 'literal'} has no fields")
            kind = owner.type.pointee
            if isinstance(kind, PointerType):
                raise self.error(node, f"a {owner.type} leads to a pointer: write p[0].{node.attr}")
            owner = Place(kind, owner.text, kind.align)
        if not isinstance(owner.type, StructType):
            raise self.error(node, f"a {owner.type} has no fields")
        field = owner.type.fields.get(node.attr)
        if field is None:
            names = ", ".join(owner.type.fields)
            raise self.error(node, f"structure {owner.type} has no field {node.attr}: it has {names}")
        align = min(owner.align, field.type.align)
        if owner.type.packed:
            align = 1
        if field.offset == 0:
            return Place(field.type, owner.pointer, align)
        flags = "inbounds " if accessed else ""
        address = self.builder.assign(f"getelementptr {flags}i8, ptr {owner.pointer}, i64 {field.offset}")
        return Place(field.type, address, align)

    def _subscript(self, node: ast.expr, expected: Type | None, accessed: bool = True) -> Result:
        assert isinstance(node, ast.Subscript)
        owner = self.result(node.value)
        if isinstance(owner, Thing) and isinstance(owner.object, Table):
            return self._table_element(node, owner.object)
        if isinstance(owner, Thing):
            owner = self._thing_value(node.value, owner.object)
        if isinstance(node.slice, ast.Slice | ast.Tuple):
            raise self.error(node.slice, _REFUSED[ast.Slice])
        if isinstance(owner, Place) and isinstance(owner.type, PointerType):
            owner = self.builder.load(owner)
        if isinstance(owner, Place):
            if not isinstance(owner.type, ArrayType):
                raise self.error(node, f"a {owner.type} has no elements")
            kind, base, align = owner.type.element, owner.pointer, min(owner.align, owner.type.element.align)
            index = self.value(node.slice, None)
            if index.constant is not None and not 0 <= index.constant < owner.type.length:
                raise self.error(node.slice, f"index {index.constant} is outside {owner.type}")
        else:
            if not isinstance(owner.type, PointerType):
                raise self.error(node, f"a {owner.type or 'literal'} has no elements: only pointers and arrays have")
            kind, base, align = owner.type.pointee, owner.text, owner.type.pointee.align
            index = self.value(node.slice, None)
        if index.constant == 0 and isinstance(index.type, IntType | None):
            return Place(kind, base, align)
        return Place(kind, self.element(node.slice, base, kind, index, inbounds=accessed), align)

    def element(self, node: ast.expr, base: str, kind: Type, index: Value, *, inbounds: bool) -> str:
        """The address of element ``index`` of those of type ``kind`` from ``base`` on."""
        position = self.index(node, index)
        size = kind.size if not isinstance(kind, BoolType) else 1
        shape = f"i{8 * size}" if size in (1, 2, 4, 8) else f"[{size} x i8]"
        flags = "inbounds " if inbounds else ""
        return self.builder.assign(f"getelementptr {flags}{shape}, ptr {base}, i64 {position}")

    def index(self, node: ast.expr, index: Value) -> str:
        """An integer of any type as the 64-bit operand of an address calculation."""
        if index.type is None:
            assert index.constant is not None
            if not I64.minimum <= index.constant <= U64.maximum:
                raise self.error(node, f"{index.constant} does not fit 64 bits")
            return str(I64(index.constant))
        if not isinstance(index.type, IntType):
            raise self.error(node, f"an index is an integer, not a {index.type}")
        return self.convert(index, I64).text

    def _table_element(self, node: ast.Subscript, found: Table) -> Result:
        index = self.value(node.slice)
        if index.constant is not None and isinstance(index.type, IntType | None):
            if not 0 <= index.constant < len(found.values):
                raise self.error(node.slice, f"index {index.constant} is outside a table of {len(found.values)}")
            return constant(found.element, found.values[index.constant])
        self.refuse_on_bpf(node, "reads a table")
        address = self.element(node.slice, self.table_symbol(found), found.element, index, inbounds=True)
        return Place(found.element, address, found.element.align)

    # Operators

    def _binary(self, node: ast.expr, expected: Type | None) -> Result:
        assert isinstance(node, ast.BinOp)
        left = self.value(node.left)
        right = self.value(node.right)
        if left.type is None and right.constant is None and isinstance(expected, IntType):
            # Only a shift takes its width from the left alone; for the rest ``right`` has decided already.
            left = self.adapt(node.left, left, expected) if isinstance(node.op, ast.LShift | ast.RShift) else left
        return self.operate(node, node.op, node.left, left, node.right, right)

    def operate(
        self,
        node: ast.AST,
        operator: ast.operator,
        left_node: ast.expr,
        left: Value,
        right_node: ast.expr,
        right: Value,
    ) -> Value:
        """``left operator right``; the nodes are where errors point."""
        if isinstance(operator, ast.LShift | ast.RShift):
            return self._shift(node, operator, left, right_node, right)
        if isinstance(operator, ast.Div):
            raise self.error(node, "there is no true division: write // for the whole part")
        if type(operator) not in _FOLD:
            raise self.error(node, f"the operator {type(operator).__name__} is outside the language")
        if left.type is None and right.type is None:
            assert left.constant is not None
            assert right.constant is not None
            return literal(_FOLD[type(operator)](left.constant, right.constant))
        bitwise = isinstance(operator, _BITWISE)
        if left.type is None:
            assert right.type is not None
            left = self.adapt(left_node, left, right.type, bits_only=bitwise)
        elif right.type is None:
            right = self.adapt(right_node, right, left.type, bits_only=bitwise)
        kind = left.type
        if kind is not right.type:
            raise self.error(
                node, f"{kind} and {right.type} do not mix: convert one of them" + _pair_hint(kind, right.type)
            )
        if not (isinstance(kind, IntType) or (kind is BOOL and bitwise)):
            what = "write offset(p, n) or p[n]" if isinstance(kind, PointerType) else "convert it, as in u32(x)"
            raise self.error(node, f"a {kind} cannot be calculated with: {what}")
        if left.constant is not None and right.constant is not None:
            return constant(kind, _FOLD[type(operator)](left.constant, right.constant))
        if isinstance(operator, ast.FloorDiv | ast.Mod):
            assert isinstance(kind, IntType)
            return self._divide(kind, left, right, remainder=isinstance(operator, ast.Mod))
        text = self.builder.assign(f"{_BINARY[type(operator)]} {kind.llvm} {left.text}, {right.text}")
        return Value(kind, text)

    def _shift(self, node: ast.AST, operator: ast.operator, left: Value, right_node: ast.expr, right: Value) -> Value:
        to_left = isinstance(operator, ast.LShift)
        if right.type is None and right.constant is not None and right.constant < 0:
            raise self.error(right_node, f"a shift by {right.constant} goes the wrong way")
        if left.type is None:
            if right.constant is None or right.constant < 0:
                raise self.error(node, f"the width of {left.text} is not known here: write u64({left.text})")
            if right.constant > 4096:
                raise self.error(right_node, "a shift by so much fits no type")
            assert left.constant is not None
            return literal(left.constant << right.constant if to_left else left.constant >> right.constant)
        kind = left.type
        if not isinstance(kind, IntType):
            raise self.error(node, f"a {kind} cannot be shifted")
        if not isinstance(right.type, IntType | None):
            raise self.error(right_node, f"a shift amount is an integer, not a {right.type}")
        if right.constant is not None:
            if right.type is None and right.constant >= kind.bits:
                raise self.error(
                    right_node, f"a {kind} has {kind.bits} bits: it cannot be shifted by {right.constant}"
                )
            places = right.constant % kind.bits
            if left.constant is not None:
                return constant(kind, left.constant << places if to_left else left.constant >> places)
            amount = str(places)
        else:
            wide_amount = self.convert(right, kind).text
            amount = self.builder.assign(f"and {kind.llvm} {wide_amount}, {kind.bits - 1}")
        word = "shl" if to_left else "ashr" if kind.signed else "lshr"
        return Value(kind, self.builder.assign(f"{word} {kind.llvm} {left.text}, {amount}"))

    def _divide(self, kind: IntType, left: Value, right: Value, *, remainder: bool) -> Value:
        emit = self.builder.assign
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
            text = self._divide_signed(llvm, a, b, divisor, known, remainder=remainder)
        if zero is not None:
            text = emit(f"select i1 {zero}, {llvm} {a if remainder else '0'}, {llvm} {text}")
        return Value(kind, text)

    def _divide_signed(self, llvm: str, a: str, b: str, divisor: str, known: int | None, *, remainder: bool) -> str:
        # The machine rounds towards zero and may trap on the lowest number divided by -1; Python rounds down.
        emit = self.builder.assign
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

    def _unary(self, node: ast.expr, expected: Type | None) -> Result:
        assert isinstance(node, ast.UnaryOp)
        if isinstance(node.op, ast.Not):
            found = self.condition(node.operand)
            if found.constant is not None:
                return _FALSE if found.constant else _TRUE
            return Value(BOOL, self.builder.assign(f"xor i1 {found.text}, true"))
        found = self.value(node.operand)
        if found.type is None:
            assert found.constant is not None
            return literal(-found.constant if isinstance(node.op, ast.USub) else
                           ~found.constant if isinstance(node.op, ast.Invert) else found.constant)  # fmt: skip
        if not isinstance(found.type, IntType):
            what = "write not x" if found.type is BOOL else "convert it first"
            raise self.error(node, f"a {found.type} cannot be calculated with: {what}")
        if isinstance(node.op, ast.UAdd):
            return found
        negative = isinstance(node.op, ast.USub)
        if found.constant is not None:
            return constant(found.type, -found.constant if negative else ~found.constant)
        llvm = found.type.llvm
        code = f"sub {llvm} 0, {found.text}" if negative else f"xor {llvm} {found.text}, -1"
        return Value(found.type, self.builder.assign(code))

    def _compare(self, node: ast.expr, expected: Type | None) -> Result:
        assert isinstance(node, ast.Compare)
        left_node, left = node.left, self.value(node.left)
        if len(node.ops) == 1:
            right_node = node.comparators[0]
            return self._compare_two(node, node.ops[0], left_node, left, right_node, self.value(right_node))
        parts: list[Callable[[], Value]] = []

        def chain(operator: ast.cmpop, right_node: ast.expr) -> Callable[[], Value]:
            def compare() -> Value:
                nonlocal left, left_node
                right = self.value(right_node)
                found = self._compare_two(node, operator, left_node, left, right_node, right)
                left, left_node = right, right_node
                return found

            return compare

        for operator, right_node in zip(node.ops, node.comparators, strict=True):
            parts.append(chain(operator, right_node))
        return self._short_circuit(parts, stop=False)

    def _compare_two(
        self, node: ast.AST, operator: ast.cmpop, left_node: ast.expr, left: Value, right_node: ast.expr, right: Value
    ) -> Value:
        row = _COMPARE.get(type(operator))
        if row is None:
            if isinstance(operator, ast.Is | ast.IsNot):
                raise self.error(node, "identity is not compared: write == or, for a null pointer, `not p`")
            raise self.error(node, "there are no containers: compare with each value, joined by or")
        unsigned, signed, fold = row
        if left.type is None and right.type is None:
            assert left.constant is not None
            assert right.constant is not None
            return _TRUE if fold(left.constant, right.constant) else _FALSE
        if left.type is None:
            assert right.type is not None
            left = self.adapt(left_node, left, right.type)
        elif right.type is None:
            right = self.adapt(right_node, right, left.type)
        kind = left.type
        if kind is not right.type:
            raise self.error(
                node,
                f"{kind} and {right.type} cannot be compared: convert one of them" + _pair_hint(kind, right.type),
            )
        assert kind is not None
        if left.constant is not None and right.constant is not None:
            return _TRUE if fold(left.constant, right.constant) else _FALSE
        word = signed if isinstance(kind, IntType) and kind.signed else unsigned
        return Value(BOOL, self.builder.assign(f"icmp {word} {kind.llvm} {left.text}, {right.text}"))

    def _boolean(self, node: ast.expr, expected: Type | None) -> Result:
        assert isinstance(node, ast.BoolOp)

        def part(operand: ast.expr) -> Callable[[], Value]:
            return lambda: self.condition(operand)

        return self._short_circuit([part(one) for one in node.values], stop=isinstance(node.op, ast.Or))

    def _short_circuit(self, parts: list[Callable[[], Value]], *, stop: bool) -> Value:
        """The parts from left to right until one of them is ``stop``: ``or`` stops at true, ``and`` at false."""
        builder = self.builder
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

    def _choice(self, node: ast.expr, expected: Type | None) -> Result:
        assert isinstance(node, ast.IfExp)
        found = self.condition(node.test)
        if found.constant is not None:
            return self.result(node.body if found.constant else node.orelse, expected)
        builder = self.builder
        yes, no, end = builder.label(), builder.label(), builder.label()
        builder.branch(found.text, yes, no)
        builder.start(yes)
        first = self.value(node.body, expected)
        yes = builder.block
        builder.jump(end)
        builder.start(no)
        second = self.value(node.orelse, expected)
        if first.type is None and second.type is None:
            raise self.error(node, "the width of these literals is not known here: write u64(...) around one of them")
        if first.type is None:
            assert second.type is not None
            first = self.adapt(node.body, first, second.type)
        elif second.type is None:
            second = self.adapt(node.orelse, second, first.type)
        if first.type is not second.type:
            raise self.error(node, f"the two sides are a {first.type} and a {second.type}: convert one of them")
        assert first.type is not None
        no = builder.block
        builder.jump(end)
        builder.start(end)
        llvm = first.type.llvm
        return Value(first.type, builder.assign(f"phi {llvm} [ {first.text}, %{yes} ], [ {second.text}, %{no} ]"))

    def _assignment_expression(self, node: ast.expr, expected: Type | None) -> Result:
        raise self.error(node, "an assignment stands on a line of its own")

    # Conversions and calls

    def convert(self, found: Value, kind: IntType) -> Value:
        """An integer or bool as another integer type: cut off, or extended by the sign of its own type."""
        source = found.type
        if source is kind:
            return found
        if found.constant is not None:
            return constant(kind, found.constant)
        if source is BOOL:
            return Value(kind, self.builder.assign(f"zext i1 {found.text} to {kind.llvm}"))
        assert isinstance(source, IntType)
        if source.bits == kind.bits:
            return Value(kind, found.text)
        word = "trunc" if source.bits > kind.bits else "sext" if source.signed else "zext"
        return Value(kind, self.builder.assign(f"{word} {source.llvm} {found.text} to {kind.llvm}"))

    def _conversion(self, node: ast.Call, kind: IntType) -> Result:
        if len(node.args) != 1 or node.keywords:
            raise self.error(node, f"{kind}(...) converts one value")
        found = self.value(node.args[0])
        if isinstance(found.type, PointerType | FunctionType):
            if kind.bits != 64:
                raise self.error(node, f"an address has 64 bits: write {kind}(u64(p))")
            if found.constant is not None:
                return constant(kind, found.constant)
            return Value(kind, self.builder.assign(f"ptrtoint ptr {found.text} to {kind.llvm}"))
        return self.convert(found, kind)

    def _call(self, node: ast.expr, expected: Type | None) -> Result:
        from skep.lang.intrinsics import INTRINSICS

        assert isinstance(node, ast.Call)
        callee = self.result(node.func)
        for argument in node.args:
            if isinstance(argument, ast.Starred):
                raise self.error(argument, _REFUSED[ast.Starred])
        if isinstance(callee, Thing):
            found = callee.object
            if isinstance(found, Function):
                return self._call_function(node, found)
            if isinstance(found, IntType):
                return self._conversion(node, found)
            if isinstance(found, ExternalFunction):
                self.refuse_on_bpf(node, f"calls the C function {found.symbol}")
                self.scope.externals[found.symbol] = found.type
                return self._call_typed(node, f'@"{found.symbol}"', found.type, found.symbol)
            if isinstance(found, type) and STRUCT_ATTRIBUTE in vars(found):
                return self._new_structure(node, vars(found)[STRUCT_ATTRIBUTE])
            try:
                intrinsic = INTRINSICS.get(found)
            except TypeError:
                intrinsic = None
            if intrinsic is not None:
                return intrinsic(self, node, expected)
            shown = getattr(found, "__name__", type(found).__name__)
            raise self.error(node, f"{shown} cannot be called in a compiled function: decorate it with @function")
        if isinstance(callee, Place) and is_scalar(callee.type):
            callee = self.builder.load(callee)
        if isinstance(callee, Value) and isinstance(callee.type, FunctionType):
            self.refuse_on_bpf(node, "calls through a function pointer")
            return self._call_typed(node, callee.text, callee.type, "this function")
        raise self.error(node, "this is no function")

    def _call_function(self, node: ast.Call, found: Function[..., Any]) -> Result:
        parameters = found.parameters
        arguments: list[ast.expr] = list(node.args)
        named = {one.arg: one.value for one in node.keywords}
        for name, _ in parameters[len(arguments) :]:
            if name not in named:
                break
            arguments.append(named.pop(name))
        if named or len(arguments) != len(parameters):
            names = ", ".join(name for name, _ in parameters)
            raise self.error(node, f"{found.__qualname__} takes ({names}), {len(parameters)} arguments")
        values = [
            self.value_of_type(argument, kind, f"argument {name} of {found.__qualname__}")
            for argument, (name, kind) in zip(arguments, parameters, strict=True)
        ]
        if found.inline == "always":
            # What is inlined anyway is compiled for the constants it is given: LLVM then has far less to throw away.
            constants = {
                name: value.constant
                for value, (name, kind) in zip(values, parameters, strict=True)
                if value.constant is not None and isinstance(kind, IntType | BoolType)
            }
            if constants:
                found = found.specialise(**constants)
                values = [value for value, (name, _) in zip(values, parameters, strict=True) if name not in constants]
        self.scope.functions[found] = None
        return self._finish_call(f'@"{found.symbol}"', values, found.result)

    def _call_typed(self, node: ast.Call, callee: str, kind: FunctionType, what: str) -> Result:
        if node.keywords:
            raise self.error(node, f"arguments of {what} have no names")
        if len(node.args) != len(kind.parameters):
            raise self.error(node, f"{what} takes {len(kind.parameters)} arguments, not {len(node.args)}")
        values = [
            self.value_of_type(argument, wanted, f"argument {position + 1} of {what}")
            for position, (argument, wanted) in enumerate(zip(node.args, kind.parameters, strict=True))
        ]
        return self._finish_call(callee, values, kind.result)

    def _finish_call(self, callee: str, values: list[Value], result: Type) -> Value:
        arguments = ", ".join(f"{abi(one.type)} {one.text}" for one in values if one.type is not None)
        if result is VOID:
            self.builder.line(f"call void {callee}({arguments})")
            return Value(VOID, "")
        return Value(result, self.builder.assign(f"call {abi_result(result)} {callee}({arguments})"))

    def _new_structure(self, node: ast.Call, kind: StructType) -> Place:
        if node.args:
            raise self.error(node, f"fields are given by name: {kind}({next(iter(kind.fields))}=...)")
        place = self.zeroed(kind)
        for keyword in node.keywords:
            field = kind.fields.get(keyword.arg or "")
            if field is None or not is_scalar(field.type):
                raise self.error(keyword, f"structure {kind} has no scalar field {keyword.arg}")
            value = self.value_of_type(keyword.value, field.type, f"field {field.name}")
            pointer = place.pointer
            if field.offset:
                pointer = self.builder.assign(f"getelementptr inbounds i8, ptr {pointer}, i64 {field.offset}")
            align = 1 if kind.packed else field.type.align
            self.builder.store(Place(field.type, pointer, align), value.text)
        return place

    def zeroed(self, kind: StructType | ArrayType) -> Place:
        """A fresh local that is all zero."""
        pointer = self.builder.allocate(kind)
        memory.fill(self.builder, self.scope.target, pointer, "0", constant(U64, kind.size), kind.align)
        return Place(kind, pointer, kind.align)

    def type_argument(self, node: ast.expr) -> Type:
        """The type that an argument such as ``Ptr[u8]`` names."""
        try:
            return type_of(evaluate(node, self.scope.namespace), self.scope.namespace)
        except LanguageError as error:
            raise self.error(node, error.problem) from None

    def local_array(self, node: ast.Call, *, zero: bool) -> Place:
        """``array(element, count)``."""
        element = self.type_argument(node.args[0])
        if element is VOID:
            raise self.error(node.args[0], "an array has elements of a type")
        count = self.known(node.args[1], "the length of a local array")
        if not 0 < count * element.size <= 1 << 20:
            raise self.error(node.args[1], "a local array has at least one element and at most 1 MiB")
        kind = array_type(element, count)
        if zero:
            return self.zeroed(kind)
        return Place(kind, self.builder.allocate(kind), kind.align)


_EXPRESSIONS: Mapping[type[ast.AST], Callable[[Expressions, ast.expr, Type | None], Result]] = {
    ast.Name: Expressions._name,
    ast.Constant: Expressions._constant,
    ast.Attribute: Expressions._attribute,
    ast.Subscript: Expressions._subscript,
    ast.BinOp: Expressions._binary,
    ast.UnaryOp: Expressions._unary,
    ast.Compare: Expressions._compare,
    ast.BoolOp: Expressions._boolean,
    ast.IfExp: Expressions._choice,
    ast.Call: Expressions._call,
    ast.NamedExpr: Expressions._assignment_expression,
}


def argument_count(ex: Expressions, node: ast.Call, least: int, most: int | None = None) -> None:
    """Refuse a call of an operation that has fewer than ``least`` or more than ``most`` arguments."""
    most = least if most is None else most
    if node.keywords:
        raise ex.error(node.keywords[0], "arguments of an operation have no names here")
    if not least <= len(node.args) <= most:
        wanted = str(least) if least == most else f"{least} to {most}"
        raise ex.error(node, f"this takes {wanted} arguments, not {len(node.args)}")


def content_name(text: str) -> str:
    """A short name for a content, the same in every process."""
    import hashlib

    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _extension(kind: Type) -> str:
    # The C ABIs leave it to the attribute whether a narrow integer is extended, and by whom.
    if kind is BOOL:
        return " zeroext"
    if isinstance(kind, IntType) and kind.bits < 32:
        return " signext" if kind.signed else " zeroext"
    return ""


def abi(kind: Type) -> str:
    """A parameter or argument type with its attributes."""
    return f"{kind.llvm} noundef{_extension(kind)}"


def abi_result(kind: Type) -> str:
    """A result type with its attributes."""
    return kind.llvm if kind is VOID else f"noundef{_extension(kind)} {kind.llvm}"


def _hint(found: Type | None, wanted: Type) -> str:
    if isinstance(wanted, IntType) and isinstance(found, IntType | BoolType):
        return f": write {wanted}(...)"
    if isinstance(wanted, PointerType) and isinstance(found, PointerType | IntType):
        return f": write cast({wanted}, ...)"
    if wanted is BOOL and isinstance(found, IntType):
        return ": write x != 0"
    return ""


def _pair_hint(left: Type | None, right: Type | None) -> str:
    if isinstance(left, IntType) and isinstance(right, IntType):
        wider = left if left.bits >= right.bits else right
        return f", as in {wider}(x)"
    return ""
