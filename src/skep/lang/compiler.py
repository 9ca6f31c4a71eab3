"""One function of the language as the text of one LLVM function, with what it refers to.

The text is made once for each function and target, and reused in every module that holds it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from skep.lang.function import Function, Variable
from skep.lang.scope import Scope
from skep.lang.signature import abi, abi_result
from skep.lang.statements import Statements
from skep.lang.target import Target
from skep.lang.types import VOID, FunctionType, PointerType
from skep.lang.values import Value, constant


@dataclass(frozen=True, slots=True)
class Compiled:
    """``define <linkage>`` + ``head`` + ``attributes`` + ``body`` is the function; the rest is what it refers to."""

    head: str
    attributes: str
    body: str
    functions: tuple[Function[..., Any], ...]
    externals: Mapping[str, FunctionType]
    variables: Mapping[str, Variable]
    tables: Mapping[str, str]


def compile_function(function: Function[..., Any], target: Target) -> Compiled:
    """The LLVM text of ``function`` for ``target``; LanguageError with its place if it is outside the language."""
    known = function.compiled.get(target.arch)
    if known is not None:
        return known
    try:
        compiled = _compile(function, target)
    except RecursionError:
        definition = function.source.definition
        raise function.source.error(definition, "an expression is nested too deeply: split it") from None
    return function.compiled.setdefault(target.arch, compiled)


def _compile(function: Function[..., Any], target: Target) -> Compiled:
    source = function.source
    scope = Scope(source, function.namespace, target)
    result = function.result
    statements = Statements(scope, result, source.definition.body)
    signature = []
    for position, (name, kind) in enumerate(function.all_parameters):
        if name not in function.constants:
            nonnull = " nonnull" if function.nonnull and isinstance(kind, PointerType) else ""
            signature.append(f"{abi(kind)}{nonnull} %p{position}")
            statements.parameter(name, Value(kind, f"%p{position}"))
            continue
        given = function.constants[name]
        if isinstance(given, Function):
            value = statements.expressions.function_value(given)
        else:
            value = constant(kind, given)
        statements.parameter(name, value)
    statements.body(source.definition.body)
    if scope.assigned is not None:
        if result is not VOID:
            raise source.error(source.definition, f"{function.__qualname__} can end without returning a {result}")
        scope.builder.line("ret void")
    builder = scope.builder
    body = "\n".join(["entry:", *builder.allocations, *builder.lines])
    attributes = " nounwind"
    if function.cold and not target.is_bpf:
        # What is cold LLVM puts into a section of its own, and BPF code is one piece.
        attributes += " cold minsize optsize"
    inline = function.inline
    if target.is_bpf:
        # LLVM must not find memcpy in a loop, nor put a switch into data: BPF code has neither.
        attributes += ' "no-builtins" "no-jump-tables"="true"'
        inline = inline or "always"
    if inline is not None:
        attributes += " alwaysinline" if inline == "always" else " noinline"
    return Compiled(
        head=f'{abi_result(result)} @"{function.symbol}"({", ".join(signature)})',
        attributes=attributes,
        body=body,
        functions=tuple(scope.functions),
        externals=scope.externals,
        variables=scope.variables,
        tables=scope.tables,
    )
