"""Expressions: what a piece of text stands for, and the questions that all of the compiler asks of it.

An expression is compiled in one walk: its meaning, the agreement of its types and its LLVM code. The kinds of
expression are in ``operators``, ``places`` and ``calls``; ``kinds`` has them by node.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from skep.errors import LanguageError
from skep.lang.function import ExternalFunction, Function, Table, Variable
from skep.lang.namespace import evaluate, type_of
from skep.lang.scope import Scope, is_scalar
from skep.lang.types import (
    BOOL,
    U64,
    VOID,
    ArrayType,
    BoolType,
    FunctionType,
    IntType,
    PointerType,
    Type,
    pointer_type,
)
from skep.lang.values import FALSE, TRUE, Place, Result, Thing, Value, constant, literal

#: What to write instead of an expression that the language does not have.
REFUSED: Mapping[type[ast.AST], str] = {
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


class Expressions:
    """Compiles expressions into a scope."""

    __slots__ = ("_kinds", "builder", "scope")

    def __init__(self, scope: Scope, kinds: Kinds) -> None:
        self._kinds = kinds
        self.scope = scope
        self.builder = scope.builder

    def error(self, node: ast.AST, problem: str) -> LanguageError:
        """An error that points at ``node``."""
        return self.scope.source.error(node, problem)

    def refuse_narrow(self, node: ast.AST, kind: Type) -> None:
        """An error if an address is read from or written to memory by a processor whose addresses are narrower."""
        if self.scope.target.pointer_bits != 64 and isinstance(kind, PointerType | FunctionType):
            raise self.error(
                node, f"an address in memory has 64 bits, and {self.scope.target.arch} has narrower ones"
            )

    def refuse_on_bpf(self, node: ast.AST, problem: str) -> None:
        """An error if the code is made for BPF, where it would refer to something outside itself."""
        if self.scope.target.is_bpf:
            raise self.error(node, f'this {problem}, which BPF code cannot: keep it behind `if not target_is("bpf")`')

    # What an expression is

    def result(self, node: ast.expr, expected: Type | None = None) -> Result:
        """Whatever ``node`` stands for. ``expected`` gives literals a width where nothing else does."""
        method = self._kinds.get(type(node))
        if method is None:
            raise self.error(node, REFUSED.get(type(node), f"{type(node).__name__} is outside the language"))
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
            if not isinstance(node, ast.Name):
                self.refuse_narrow(node, found.type)
            found = self.builder.load(found)
        elif isinstance(found, Thing):
            found = self.thing_value(node, found.object)
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
            return TRUE if found.constant else FALSE
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

    def name(self, node: ast.expr, expected: Type | None) -> Result:
        """A name: a local variable, or what the namespace has."""
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
            return TRUE if found else FALSE
        if isinstance(found, int):
            return literal(int(found))
        return Thing(found)

    def constant(self, node: ast.expr, expected: Type | None) -> Result:
        """A constant in the text."""
        assert isinstance(node, ast.Constant)
        if isinstance(node.value, int):
            return self.classify(node.value)
        if node.value is None:
            raise self.error(node, "None is no value: a null pointer is null(T), and `not p` asks for it")
        kind = type(node.value).__name__
        if isinstance(node.value, float | complex):
            raise self.error(node, f"there is no {kind}: scale it to an integer")
        raise self.error(node, f"a {kind} is no value of the language: write integers or a table(u8, ...)")

    def thing_value(self, node: ast.expr, found: object) -> Value:
        """An object of Python as a value, if it is one in the language."""
        if isinstance(found, Function):
            return self.function_value(found)
        if isinstance(found, ExternalFunction):
            self.refuse_on_bpf(node, f"names the C function {found.symbol}")
            self.scope.externals[found.symbol] = found.type
            return Value(found.type, f'@"{found.symbol}"')
        if isinstance(found, Variable):
            self.refuse_on_bpf(node, "names a variable of the module")
            if self.scope.variables.setdefault(found.symbol, found) is not found:
                raise self.error(node, f"two variables have the symbol {found.symbol}")
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

    def type_argument(self, node: ast.expr) -> Type:
        """The type that an argument such as ``Ptr[u8]`` names."""
        try:
            return type_of(evaluate(node, self.scope.namespace), self.scope.namespace)
        except LanguageError as error:
            raise self.error(node, error.problem) from None


#: How each kind of node is compiled: the compiler, the node, and the type that a literal would take.
Kinds = Mapping[type[ast.AST], Callable[[Expressions, ast.expr, Type | None], Result]]


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
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _hint(found: Type | None, wanted: Type) -> str:
    if isinstance(wanted, IntType) and isinstance(found, IntType | BoolType):
        return f": write {wanted}(...)"
    if isinstance(wanted, PointerType) and isinstance(found, PointerType | IntType):
        return f": write cast({wanted}, ...)"
    if wanted is BOOL and isinstance(found, IntType):
        return ": write x != 0"
    return ""
