"""Places in memory: fields, elements, locals, and the addresses of all of them."""

from __future__ import annotations

import ast
from enum import Enum

from skep.lang import memory
from skep.lang.expressions import REFUSED, Expressions
from skep.lang.function import Table, Variable
from skep.lang.scope import is_scalar
from skep.lang.types import (
    I64,
    U64,
    VOID,
    ArrayType,
    BoolType,
    IntType,
    PointerType,
    StructType,
    Type,
    array_type,
)
from skep.lang.values import Place, Result, Thing, Value, constant


def place(ex: Expressions, node: ast.expr, *, accessed: bool = True) -> Place:
    """The memory that ``node`` names; unless it is ``accessed`` here, it need not lie inside any object."""
    if isinstance(node, ast.Attribute):
        found = attribute(ex, node, None, accessed)
    elif isinstance(node, ast.Subscript):
        found = subscript(ex, node, None, accessed)
    else:
        found = ex.result(node)
    if isinstance(found, Place) and not (isinstance(node, ast.Name) and is_scalar(found.type)):
        return found
    if isinstance(node, ast.Name) and not isinstance(found, Thing):
        raise ex.error(node, f"{node.id} is a value without an address: put it in a structure or an array")
    raise ex.error(node, "this has no address: name a field, an element, or a local structure or array")


def attribute(ex: Expressions, node: ast.expr, expected: Type | None, accessed: bool = True) -> Result:
    """``p.field``, or an attribute of something of Python."""
    assert isinstance(node, ast.Attribute)
    owner = ex.result(node.value)
    if isinstance(owner, Thing) and not isinstance(owner.object, Variable | Table):
        if isinstance(owner.object, Enum) and node.attr == "value":
            return ex.classify(owner.object.value)
        try:
            return ex.classify(getattr(owner.object, node.attr))
        except AttributeError:
            shown = getattr(owner.object, "__name__", type(owner.object).__name__)
            raise ex.error(node, f"{shown} has no attribute {node.attr}") from None
    if isinstance(owner, Thing):
        owner = ex.thing_value(node.value, owner.object)
    if isinstance(owner, Place) and isinstance(owner.type, PointerType):
        owner = ex.scalar(node.value, owner)
    if isinstance(owner, Value):
        if owner.type is None and node.attr == "value":
            # A member of an IntEnum is an integer already.
            return owner
        if not isinstance(owner.type, PointerType):
            raise ex.error(node, f"a {owner.type or 'literal'} has no fields")
        kind = owner.type.pointee
        if isinstance(kind, PointerType):
            raise ex.error(node, f"a {owner.type} leads to a pointer: write p[0].{node.attr}")
        owner = Place(kind, owner.text, kind.align)
    if not isinstance(owner.type, StructType):
        raise ex.error(node, f"a {owner.type} has no fields")
    field = owner.type.fields.get(node.attr)
    if field is None:
        names = ", ".join(owner.type.fields)
        raise ex.error(node, f"structure {owner.type} has no field {node.attr}: it has {names}")
    align = min(owner.align, field.type.align)
    if owner.type.packed:
        align = 1
    if field.offset == 0:
        return Place(field.type, owner.pointer, align)
    flags = "inbounds " if accessed else ""
    address = ex.builder.assign(f"getelementptr {flags}i8, ptr {owner.pointer}, i64 {field.offset}")
    return Place(field.type, address, align)


def subscript(ex: Expressions, node: ast.expr, expected: Type | None, accessed: bool = True) -> Result:
    """``p[i]``, an element of an array or of a table."""
    assert isinstance(node, ast.Subscript)
    owner = ex.result(node.value)
    if isinstance(owner, Thing) and isinstance(owner.object, Table):
        return _table_element(ex, node, owner.object)
    if isinstance(owner, Thing):
        owner = ex.thing_value(node.value, owner.object)
    if isinstance(node.slice, ast.Slice | ast.Tuple):
        raise ex.error(node.slice, REFUSED[ast.Slice])
    if isinstance(owner, Place) and isinstance(owner.type, PointerType):
        owner = ex.scalar(node.value, owner)
    if isinstance(owner, Place):
        if not isinstance(owner.type, ArrayType):
            raise ex.error(node, f"a {owner.type} has no elements")
        kind, base, align = owner.type.element, owner.pointer, min(owner.align, owner.type.element.align)
        index = ex.value(node.slice, None)
        # An array of no elements at the end of a structure stands for as many as follow it.
        if owner.type.length and index.constant is not None and not 0 <= index.constant < owner.type.length:
            raise ex.error(node.slice, f"index {index.constant} is outside {owner.type}")
    else:
        if not isinstance(owner.type, PointerType):
            raise ex.error(node, f"a {owner.type or 'literal'} has no elements: only pointers and arrays have")
        kind, base, align = owner.type.pointee, owner.text, owner.type.pointee.align
        index = ex.value(node.slice, None)
    if index.constant == 0 and isinstance(index.type, IntType | None):
        return Place(kind, base, align)
    return Place(kind, element(ex, node.slice, base, kind, index, inbounds=accessed), align)


def element(ex: Expressions, node: ast.expr, base: str, kind: Type, index: Value, *, inbounds: bool) -> str:
    """The address of element ``index`` of those of type ``kind`` from ``base`` on."""
    position = _index(ex, node, index)
    size = kind.size if not isinstance(kind, BoolType) else 1
    shape = f"i{8 * size}" if size in (1, 2, 4, 8) else f"[{size} x i8]"
    flags = "inbounds " if inbounds else ""
    return ex.builder.assign(f"getelementptr {flags}{shape}, ptr {base}, i64 {position}")


def _index(ex: Expressions, node: ast.expr, index: Value) -> str:
    """An integer of any type as the 64-bit operand of an address calculation."""
    if index.type is None:
        assert index.constant is not None
        if not I64.minimum <= index.constant <= U64.maximum:
            raise ex.error(node, f"{index.constant} does not fit 64 bits")
        return str(I64(index.constant))
    if not isinstance(index.type, IntType):
        raise ex.error(node, f"an index is an integer, not a {index.type}")
    return ex.convert(index, I64).text


def _table_element(ex: Expressions, node: ast.Subscript, found: Table) -> Result:
    index = ex.value(node.slice)
    if index.constant is not None and isinstance(index.type, IntType | None):
        if not 0 <= index.constant < len(found.values):
            raise ex.error(node.slice, f"index {index.constant} is outside a table of {len(found.values)}")
        return constant(found.element, found.values[index.constant])
    ex.refuse_on_bpf(node, "reads a table")
    address = element(ex, node.slice, ex.table_symbol(found), found.element, index, inbounds=True)
    return Place(found.element, address, found.element.align)


def zeroed(ex: Expressions, kind: StructType | ArrayType) -> Place:
    """A fresh local that is all zero."""
    pointer = ex.builder.allocate(kind)
    memory.fill(ex.builder, ex.scope.target, pointer, "0", constant(U64, kind.size), kind.align)
    return Place(kind, pointer, kind.align)


def local_array(ex: Expressions, node: ast.Call, *, zero: bool) -> Place:
    """``array(element, count)``."""
    element = ex.type_argument(node.args[0])
    if element is VOID:
        raise ex.error(node.args[0], "an array has elements of a type")
    count = ex.known(node.args[1], "the length of a local array")
    if not 0 < count * element.size <= 1 << 20:
        raise ex.error(node.args[1], "a local array has at least one element and at most 1 MiB")
    kind = array_type(element, count)
    if zero:
        return zeroed(ex, kind)
    return Place(kind, ex.builder.allocate(kind), kind.align)
