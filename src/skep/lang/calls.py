"""Calls: of functions, C functions, function values, types that convert, structures and operations."""

from __future__ import annotations

import ast
from typing import Any

from skep.lang import places
from skep.lang.expressions import REFUSED, Expressions
from skep.lang.function import ExternalFunction, Function
from skep.lang.intrinsics import INTRINSICS
from skep.lang.namespace import STRUCT_ATTRIBUTE
from skep.lang.scope import is_scalar
from skep.lang.signature import abi, abi_result
from skep.lang.types import (
    VOID,
    BoolType,
    FunctionType,
    IntType,
    PointerType,
    StructType,
    Type,
)
from skep.lang.values import Place, Result, Thing, Value, constant


def call(ex: Expressions, node: ast.expr, expected: Type | None) -> Result:
    """A call of any kind."""
    assert isinstance(node, ast.Call)
    callee = ex.result(node.func)
    for argument in node.args:
        if isinstance(argument, ast.Starred):
            raise ex.error(argument, REFUSED[ast.Starred])
    if isinstance(callee, Thing):
        found = callee.object
        if isinstance(found, Function):
            return _call_function(ex, node, found)
        if isinstance(found, IntType):
            return _conversion(ex, node, found)
        if isinstance(found, ExternalFunction):
            ex.refuse_on_bpf(node, f"calls the C function {found.symbol}")
            ex.scope.externals[found.symbol] = found.type
            return _call_typed(ex, node, f'@"{found.symbol}"', found.type, found.symbol)
        if isinstance(found, type) and STRUCT_ATTRIBUTE in vars(found):
            return _new_structure(ex, node, vars(found)[STRUCT_ATTRIBUTE])
        try:
            intrinsic = INTRINSICS.get(found)
        except TypeError:
            intrinsic = None
        if intrinsic is not None:
            return intrinsic(ex, node, expected)
        shown = getattr(found, "__name__", type(found).__name__)
        raise ex.error(node, f"{shown} cannot be called in a compiled function: decorate it with @function")
    if isinstance(callee, Place) and is_scalar(callee.type):
        callee = ex.builder.load(callee)
    if isinstance(callee, Value) and isinstance(callee.type, FunctionType):
        ex.refuse_on_bpf(node, "calls through a function pointer")
        return _call_typed(ex, node, callee.text, callee.type, "this function")
    raise ex.error(node, "this is no function")


def _call_function(ex: Expressions, node: ast.Call, found: Function[..., Any]) -> Result:
    parameters = found.parameters
    arguments: list[ast.expr] = list(node.args)
    named = {one.arg: one.value for one in node.keywords}
    for name, _ in parameters[len(arguments) :]:
        if name not in named:
            break
        arguments.append(named.pop(name))
    if named or len(arguments) != len(parameters):
        names = ", ".join(name for name, _ in parameters)
        raise ex.error(node, f"{found.__qualname__} takes ({names}), {len(parameters)} arguments")
    values = [
        ex.value_of_type(argument, kind, f"argument {name} of {found.__qualname__}")
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
    ex.scope.functions[found] = None
    return _finish_call(ex, f'@"{found.symbol}"', values, found.result)


def _call_typed(ex: Expressions, node: ast.Call, callee: str, kind: FunctionType, what: str) -> Result:
    if node.keywords:
        raise ex.error(node, f"arguments of {what} have no names")
    if len(node.args) != len(kind.parameters):
        raise ex.error(node, f"{what} takes {len(kind.parameters)} arguments, not {len(node.args)}")
    values = [
        ex.value_of_type(argument, wanted, f"argument {position + 1} of {what}")
        for position, (argument, wanted) in enumerate(zip(node.args, kind.parameters, strict=True))
    ]
    return _finish_call(ex, callee, values, kind.result)


def _finish_call(ex: Expressions, callee: str, values: list[Value], result: Type) -> Value:
    arguments = ", ".join(f"{abi(one.type)} {one.text}" for one in values if one.type is not None)
    if result is VOID:
        ex.builder.line(f"call void {callee}({arguments})")
        return Value(VOID, "")
    return Value(result, ex.builder.assign(f"call {abi_result(result)} {callee}({arguments})"))


def _new_structure(ex: Expressions, node: ast.Call, kind: StructType) -> Place:
    if node.args:
        raise ex.error(node, f"fields are given by name: {kind}({next(iter(kind.fields))}=...)")
    place = places.zeroed(ex, kind)
    for keyword in node.keywords:
        field = kind.fields.get(keyword.arg or "")
        if field is None or not is_scalar(field.type):
            raise ex.error(keyword, f"structure {kind} has no scalar field {keyword.arg}")
        value = ex.value_of_type(keyword.value, field.type, f"field {field.name}")
        pointer = place.pointer
        if field.offset:
            pointer = ex.builder.assign(f"getelementptr inbounds i8, ptr {pointer}, i64 {field.offset}")
        align = 1 if kind.packed else field.type.align
        ex.builder.store(Place(field.type, pointer, align), value.text)
    return place


def _conversion(ex: Expressions, node: ast.Call, kind: IntType) -> Result:
    if len(node.args) != 1 or node.keywords:
        raise ex.error(node, f"{kind}(...) converts one value")
    found = ex.value(node.args[0])
    if isinstance(found.type, PointerType | FunctionType):
        if kind.bits != 64:
            raise ex.error(node, f"an address has 64 bits: write {kind}(u64(p))")
        if found.constant is not None:
            return constant(kind, found.constant)
        return Value(kind, ex.builder.assign(f"ptrtoint ptr {found.text} to {kind.llvm}"))
    return ex.convert(found, kind)
