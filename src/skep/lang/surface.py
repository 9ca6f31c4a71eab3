"""The type names that functions are written with, as two readers see them.

The compiler sees types of :mod:`skep.lang.types`. A type checker sees ordinary Python: every integer type is ``int``
(widths and signs are the compiler's business: it knows more about them than a type checker could be told),
``Ptr[T]`` is a class whose ``p[i]`` is a ``T`` and whose attributes are those of ``T``, ``Array[T]`` is indexed,
``Fn`` is ``Callable``. The attributes through a pointer are typed by the mypy plugin ``skep.lang.mypy_plugin``;
without the plugin they are ``Any``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from skep.errors import LanguageError
from skep.lang import types
from skep.lang.layout import OpenArray, address_of_view, struct_type
from skep.lang.namespace import build_function, build_pointer, type_of

__all__ = [
    "Array",
    "Fn",
    "Ptr",
    "address_of",
    "align_of",
    "array_of",
    "cast",
    "i8",
    "i16",
    "i32",
    "i64",
    "null",
    "offset_of",
    "size_of",
    "u8",
    "u16",
    "u32",
    "u64",
]

T = TypeVar("T")

if TYPE_CHECKING:
    from collections.abc import Callable as Fn
    from collections.abc import Iterator
    from typing import TypeAlias

    u8: TypeAlias = int
    u16: TypeAlias = int
    u32: TypeAlias = int
    u64: TypeAlias = int
    i8: TypeAlias = int
    i16: TypeAlias = int
    i32: TypeAlias = int
    i64: TypeAlias = int

    class Ptr(Generic[T]):
        """The address of a ``T``: ``p.field``, ``p[i]``, comparison, truth (is it not null), ``u64(p)``."""

        def __getitem__(self, index: int) -> T: ...
        def __setitem__(self, index: int, value: T) -> None: ...
        def __getattr__(self, name: str) -> Any: ...
        def __setattr__(self, name: str, value: object) -> None: ...
        def __lt__(self, other: Ptr[T]) -> bool: ...
        def __le__(self, other: Ptr[T]) -> bool: ...
        def __gt__(self, other: Ptr[T]) -> bool: ...
        def __ge__(self, other: Ptr[T]) -> bool: ...
        def __int__(self) -> int: ...

    class Array(Generic[T]):
        """Elements in a row inside a structure or a local: ``a[i]``, ``len(a)``."""

        def __getitem__(self, index: int) -> T: ...
        def __setitem__(self, index: int, value: T) -> None: ...
        def __len__(self) -> int: ...
        def __iter__(self) -> Iterator[T]: ...
        def __bytes__(self) -> bytes: ...

else:
    u8 = types.U8
    u16 = types.U16
    u32 = types.U32
    u64 = types.U64
    i8 = types.I8
    i16 = types.I16
    i32 = types.I32
    i64 = types.I64

    class Ptr(Generic[T]):
        """``Ptr[T]`` is the type of addresses of a ``T``."""

        def __class_getitem__(cls, pointee: object) -> object:
            return build_pointer(pointee)

    class Array(Generic[T]):
        """``Array[T]`` annotates a field of a structure, its ``length(...)`` beside it."""

        def __class_getitem__(cls, element: object) -> object:
            return OpenArray(element)

    class Fn:
        """``Fn[[u64, Ptr[u8]], u64]`` is the type of addresses of functions."""

        def __class_getitem__(cls, parts: object) -> object:
            return build_function(parts)


def array_of(element: object, length: int) -> types.ArrayType:
    """The type of ``length`` elements, for a structure made from a table."""
    return types.array_type(type_of(element, {}), length)


def size_of(kind: object) -> int:
    """The size of a type in bytes. A constant inside a function."""
    return type_of(kind, {}).size


def align_of(kind: object) -> int:
    """The alignment of a type in bytes. A constant inside a function."""
    return type_of(kind, {}).align


def offset_of(kind: type[Any], field: str) -> int:
    """Where ``field`` (or ``"inner.field"``) starts in a structure, in bytes. A constant inside a function."""
    offset = 0
    layout: types.Type = struct_type(kind)
    for name in field.split("."):
        found = layout.fields.get(name) if isinstance(layout, types.StructType) else None
        if found is None:
            raise LanguageError(f"{layout.name} has no field {name}")
        offset += found.offset
        layout = found.type
    return offset


@overload
def address_of(place: Array[T]) -> Ptr[T]: ...
@overload
def address_of(place: T) -> Ptr[T]: ...
def address_of(place: Any) -> Any:
    """The address of a field, element or local structure, or of the first element of an array.

    In Python, that of a structure or array in memory, as an integer.
    """
    return address_of_view(place)


def cast(kind: type[T], value: object) -> T:
    """``value``, a pointer or an address, seen as a pointer of type ``kind``; nothing is computed or checked."""
    address: Any = value
    pointer: T = address
    return pointer


def null(pointee: type[T]) -> Ptr[T]:
    """The null pointer to a ``pointee``."""
    zero: Any = 0
    pointer: Ptr[T] = zero
    return pointer
