"""The types of the language as values: what the compiler calculates with.

A type knows its size and alignment in bytes and its LLVM type. Types are interned, so that two equal types are one
object and are compared with ``is``. Sizes follow the C ABI that Linux uses on every 64-bit machine, and ``bpf``:
integers are aligned to their size, pointers have eight bytes. The names that a function is written with
(``u32``, ``Ptr`` …) are in ``surface``; structures are laid out in ``layout``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from skep.errors import LanguageError

POINTER_SIZE = 8


class IntType:
    """An integer of 8, 16, 32 or 64 bits. Calling it wraps an integer to its range, as the language does."""

    __slots__ = ("align", "bits", "llvm", "maximum", "minimum", "name", "signed", "size")

    def __init__(self, name: str, bits: int, signed: bool) -> None:
        self.name = name
        self.bits = bits
        self.signed = signed
        self.size = self.align = bits // 8
        self.llvm = f"i{bits}"
        self.minimum = -(1 << (bits - 1)) if signed else 0
        self.maximum = (1 << (bits - signed)) - 1

    def __call__(self, value: int = 0) -> int:
        """``value`` reduced to this type's range modulo 2**bits."""
        value = int(value) & ((1 << self.bits) - 1)
        return value - (1 << self.bits) if value > self.maximum else value

    def __repr__(self) -> str:
        return self.name


class BoolType:
    """True or False: ``i1`` in a register, one byte (0 or 1) in memory."""

    __slots__ = ()

    name = "bool"
    size = align = 1
    llvm = "i1"

    def __repr__(self) -> str:
        return self.name


class VoidType:
    """What a function without a result returns."""

    __slots__ = ()

    name = "None"
    size = 0
    align = 1
    llvm = "void"

    def __repr__(self) -> str:
        return self.name


class PointerType:
    """The address of a ``pointee``, which may be a structure that is not laid out yet."""

    __slots__ = ("name", "pointee")

    size = align = POINTER_SIZE
    llvm = "ptr"

    def __init__(self, pointee: Type) -> None:
        self.pointee = pointee
        self.name: str = f"Ptr[{pointee.name}]"

    def __repr__(self) -> str:
        return self.name


class ArrayType:
    """``length`` elements in a row, ``element.size`` bytes apart."""

    __slots__ = ("align", "element", "length", "llvm", "name", "size")

    def __init__(self, element: Type, length: int) -> None:
        self.element = element
        self.length = length
        self.name: str = f"Array[{element.name}, {length}]"
        self.size: int = element.size * length
        self.align: int = element.align
        self.llvm = f"[{self.size} x i8]"

    def __repr__(self) -> str:
        return self.name


class FunctionType:
    """The address of a function: what may be called through a value."""

    __slots__ = ("name", "parameters", "result")

    size = align = POINTER_SIZE
    llvm = "ptr"

    def __init__(self, parameters: tuple[Type, ...], result: Type) -> None:
        self.parameters = parameters
        self.result = result
        self.name: str = f"Fn[[{', '.join(one.name for one in parameters)}], {result.name}]"

    def __repr__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Field:
    """A member of a structure, ``offset`` bytes from its start."""

    name: str
    type: Type
    offset: int


class StructType:
    """A structure in C layout; its fields are resolved when they are first asked for, so that they may refer to it.

    ``packed`` leaves no padding and makes no assumption about alignment, as for packet headers. ``alignment`` raises
    the alignment (and rounds the size up to it), as for cache lines.
    """

    __slots__ = ("_align", "_busy", "_fields", "_resolve", "_size", "alignment", "name", "packed", "python_class")

    def __init__(
        self, name: str, resolve: Callable[[], Mapping[str, Type]], *, packed: bool = False, alignment: int = 1
    ) -> None:
        self.name = name
        self.packed = packed
        self.alignment = alignment
        self.python_class: type[Any] | None = None
        self._resolve: Callable[[], Mapping[str, Type]] | None = resolve
        self._busy = False
        self._fields: dict[str, Field] = {}
        self._size = 0
        self._align = 1

    def _lay_out(self, resolve: Callable[[], Mapping[str, Type]]) -> None:
        if self._busy:
            raise LanguageError(f"structure {self.name} holds itself: write a pointer to it")
        self._busy = True
        fields = {}
        offset = 0
        align = self.alignment
        try:
            for name, kind in resolve().items():
                step = 1 if self.packed else kind.align
                offset = -(-offset // step) * step
                fields[name] = Field(name, kind, offset)
                offset += kind.size
                align = max(align, step)
        finally:
            self._busy = False
        self._fields = fields
        self._align = align
        self._size = -(-offset // align) * align
        self._resolve = None

    @property
    def fields(self) -> Mapping[str, Field]:
        """The members by name, in order."""
        if self._resolve is not None:
            self._lay_out(self._resolve)
        return self._fields

    @property
    def size(self) -> int:
        """Bytes from one such structure to the next in an array."""
        if self._resolve is not None:
            self._lay_out(self._resolve)
        return self._size

    @property
    def align(self) -> int:
        """What its address is a multiple of, in bytes."""
        if self._resolve is not None:
            self._lay_out(self._resolve)
        return self._align

    @property
    def llvm(self) -> str:
        """LLVM sees its bytes; fields are reached by offset."""
        return f"[{self.size} x i8]"

    def __repr__(self) -> str:
        return self.name


Type = IntType | BoolType | VoidType | PointerType | ArrayType | FunctionType | StructType

U8 = IntType("u8", 8, False)
U16 = IntType("u16", 16, False)
U32 = IntType("u32", 32, False)
U64 = IntType("u64", 64, False)
I8 = IntType("i8", 8, True)
I16 = IntType("i16", 16, True)
I32 = IntType("i32", 32, True)
I64 = IntType("i64", 64, True)
BOOL = BoolType()
VOID = VoidType()

#: Every integer type by name.
INTEGERS: Mapping[str, IntType] = {kind.name: kind for kind in (U8, U16, U32, U64, I8, I16, I32, I64)}

_pointers: dict[Type, PointerType] = {}
_arrays: dict[tuple[Type, int], ArrayType] = {}
_functions: dict[tuple[tuple[Type, ...], Type], FunctionType] = {}


def pointer_type(pointee: Type) -> PointerType:
    """The one pointer type to ``pointee``."""
    found = _pointers.get(pointee)
    return found if found is not None else _pointers.setdefault(pointee, PointerType(pointee))


def array_type(element: Type, length: int) -> ArrayType:
    """The one array type of ``length`` times ``element``."""
    if length < 0:
        raise LanguageError(f"an array cannot have {length} elements")
    found = _arrays.get((element, length))
    return found if found is not None else _arrays.setdefault((element, length), ArrayType(element, length))


def function_type(parameters: tuple[Type, ...], result: Type) -> FunctionType:
    """The one type of functions that take ``parameters`` and return ``result``."""
    found = _functions.get((parameters, result))
    if found is None:
        found = _functions.setdefault((parameters, result), FunctionType(parameters, result))
    return found
