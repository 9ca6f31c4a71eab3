"""What a name means where a function or structure was written, and what type an annotation stands for.

Annotations are read in the namespace of the definition: the locals of the function around it, then the globals of its
module, then builtins. So it makes no difference whether they are objects or, under
``from __future__ import annotations``, strings.
"""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any

from skep.errors import LanguageError
from skep.lang.types import (
    BOOL,
    VOID,
    ArrayType,
    BoolType,
    FunctionType,
    IntType,
    PointerType,
    StructType,
    Type,
    VoidType,
    function_type,
    pointer_type,
)

_TYPES = (IntType, BoolType, VoidType, PointerType, ArrayType, FunctionType, StructType)

#: Attribute of a Python class that holds its :class:`StructType`.
STRUCT_ATTRIBUTE = "__struct_type__"


class Forward:
    """A pointer or function type written with a name in quotes, which means something only later."""

    __slots__ = ("build", "parts")

    def __init__(self, build: Callable[..., Type], parts: tuple[object, ...]) -> None:
        self.build = build
        self.parts = parts


class Namespace(Mapping[str, Any]):
    """The names that a definition sees, looked up when they are needed and not before."""

    __slots__ = ("_globals", "_inner")

    def __init__(self, inner: Mapping[str, Any], module_globals: Mapping[str, Any]) -> None:
        self._inner = inner
        self._globals = module_globals

    def __getitem__(self, name: str) -> Any:
        if name in self._inner:
            return self._inner[name]
        if name in self._globals:
            return self._globals[name]
        return vars(builtins)[name]

    def with_name(self, name: str, value: object) -> Namespace:
        """This namespace with one name more, which hides what it meant before."""
        return Namespace({**self._inner, name: value}, self._globals)

    def __iter__(self) -> Any:
        return iter({**vars(builtins), **self._globals, **self._inner})

    def __len__(self) -> int:
        return len({**vars(builtins), **self._globals, **self._inner})


def evaluate(node: ast.expr, namespace: Mapping[str, Any]) -> Any:
    """The object that the text of a type, such as ``Ptr[module.Header]``, stands for."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        try:
            return namespace[node.id]
        except KeyError:
            raise LanguageError(f"{node.id} is not defined") from None
    if isinstance(node, ast.Attribute):
        owner = evaluate(node.value, namespace)
        try:
            return getattr(owner, node.attr)
        except AttributeError as error:
            raise LanguageError(str(error)) from None
    if isinstance(node, ast.Tuple | ast.List):
        parts = [evaluate(one, namespace) for one in node.elts]
        return tuple(parts) if isinstance(node, ast.Tuple) else parts
    if isinstance(node, ast.Subscript):
        owner = evaluate(node.value, namespace)
        try:
            return owner[evaluate(node.slice, namespace)]
        except (TypeError, LookupError) as error:
            raise LanguageError(f"this is no type of the language: {error}") from None
    raise LanguageError("this is no type of the language: write a name such as u64, Ptr[u8] or a structure")


def defining_globals(depth: int) -> Mapping[str, Any]:
    """The globals of the module that contains the definition, ``depth`` frames above."""
    return sys._getframe(depth + 1).f_globals


def defining_locals(depth: int) -> Mapping[str, Any]:
    """The locals of the function that contains the definition, ``depth`` frames above; none for a module."""
    frame: FrameType = sys._getframe(depth + 1)
    return {} if frame.f_code.co_name == "<module>" else dict(frame.f_locals)


def type_of(annotation: object, namespace: Mapping[str, Any]) -> Type:
    """The type that ``annotation`` stands for; LanguageError (without a place) if it stands for none."""
    if isinstance(annotation, _TYPES):
        return annotation
    if annotation is bool:
        return BOOL
    if annotation is None:
        return VOID
    if isinstance(annotation, type) and STRUCT_ATTRIBUTE in vars(annotation):
        found: Type = vars(annotation)[STRUCT_ATTRIBUTE]
        return found
    if isinstance(annotation, str):
        try:
            value = eval(annotation, {"__builtins__": {}}, namespace)
        except LanguageError:
            raise
        except Exception as error:
            raise LanguageError(f"the annotation {annotation!r} cannot be read here: {error}") from error
        return type_of(value, namespace)
    if isinstance(annotation, Forward):
        return annotation.build(*(_part(one, namespace) for one in annotation.parts))
    if annotation is int:
        raise LanguageError("int has no width: write u64, i32 or another type of skep.lang")
    raise LanguageError(f"{_shown(annotation)} is not a type of skep.lang")


def _part(part: object, namespace: Mapping[str, Any]) -> object:
    return tuple(type_of(one, namespace) for one in part) if isinstance(part, tuple) else type_of(part, namespace)


def _shown(value: object) -> str:
    return value.__name__ if isinstance(value, type) else repr(value)


def build_pointer(pointee: object) -> Type | Forward:
    """``Ptr[pointee]``, now or, where the pointee is a name in quotes, later."""
    if isinstance(pointee, str | Forward):
        return Forward(pointer_type, (pointee,))
    return pointer_type(type_of(pointee, {}))


def build_function(parts: object) -> Type | Forward:
    """``Fn[[parameters], result]``, now or later."""
    if not (isinstance(parts, tuple) and len(parts) == 2 and isinstance(parts[0], list)):
        raise LanguageError("write a function type as Fn[[u64, Ptr[u8]], u64]")
    parameters, result = tuple(parts[0]), parts[1]
    if any(isinstance(one, str | Forward) for one in (*parameters, result)):
        return Forward(function_type, (parameters, result))
    return function_type(tuple(type_of(one, {}) for one in parameters), type_of(result, {}))
