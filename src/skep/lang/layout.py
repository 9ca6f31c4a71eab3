"""Structures: a class with annotations becomes a C layout, and its instances are views of real memory.

``@struct`` turns a class whose body is nothing but annotated fields into a structure. In Python an instance is a
view: ``Header()`` allocates zeroed memory of its own, ``view(Header, address)`` looks at memory that something else
keeps alive; attributes read and write that memory. Inside a compiled function ``Header()`` is a zeroed local.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar, overload

from skep.errors import LanguageError
from skep.lang.namespace import STRUCT_ATTRIBUTE, Namespace, defining_globals, defining_locals, type_of
from skep.lang.types import ArrayType, BoolType, IntType, StructType, Type, array_type

T = TypeVar("T")

_INTEGER_CTYPES: Mapping[str, Any] = {
    "u8": ctypes.c_uint8,
    "u16": ctypes.c_uint16,
    "u32": ctypes.c_uint32,
    "u64": ctypes.c_uint64,
    "i8": ctypes.c_int8,
    "i16": ctypes.c_int16,
    "i32": ctypes.c_int32,
    "i64": ctypes.c_int64,
    "bool": ctypes.c_bool,
}


def scalar_ctype(kind: Type) -> Any:
    """The ctypes type that a value of ``kind`` has in memory and in a call; pointers are 64-bit integers."""
    return _INTEGER_CTYPES[kind.name] if isinstance(kind, IntType | BoolType) else ctypes.c_uint64


class _Length:
    """The value that ``length(...)`` leaves in a class body until ``@struct`` takes it away."""

    __slots__ = ("dimensions",)

    def __init__(self, dimensions: tuple[int, ...]) -> None:
        self.dimensions = dimensions


def length(*dimensions: int) -> Any:
    """How many elements an array field has: ``tags: Array[u8] = length(11)``; a row of rows is ``length(4, 8)``."""
    if not dimensions or any(not isinstance(one, int) or one < 0 for one in dimensions):
        raise LanguageError("length() takes the number of elements, one integer for each dimension")
    return _Length(dimensions)


class OpenArray:
    """``Array[element]`` as an annotation: its length is given beside it."""

    __slots__ = ("element",)

    def __init__(self, element: object) -> None:
        self.element = element


def _field_type(annotation: object, size: _Length | None, namespace: Mapping[str, Any]) -> Type:
    if isinstance(annotation, str):
        try:
            annotation = eval(annotation, {"__builtins__": {}}, namespace)
        except LanguageError:
            raise
        except Exception as error:
            raise LanguageError(f"the annotation {annotation!r} cannot be read: {error}") from error
    dimensions = list(size.dimensions) if size is not None else []
    rank = 0
    while isinstance(annotation, OpenArray):
        annotation = annotation.element
        rank += 1
    if rank != len(dimensions):
        raise LanguageError(f"{rank} array dimensions but {len(dimensions)} lengths: write Array[u8] = length(16)")
    kind = type_of(annotation, namespace)
    for count in reversed(dimensions):
        kind = array_type(kind, count)
    return kind


def _resolver(
    name: str, annotations: Mapping[str, object], lengths: Mapping[str, _Length], namespace: Mapping[str, Any]
) -> Callable[[], Mapping[str, Type]]:
    def resolve() -> Mapping[str, Type]:
        fields = {}
        for field, annotation in annotations.items():
            try:
                fields[field] = _field_type(annotation, lengths.get(field), namespace)
            except LanguageError as error:
                raise LanguageError(f"field {field} of structure {name}: {error.problem}") from None
        return fields

    return resolve


@overload
def struct(cls: type[T]) -> type[T]: ...
@overload
def struct(*, packed: bool = False, align: int = 1) -> Callable[[type[T]], type[T]]: ...
def struct(cls: type[Any] | None = None, *, packed: bool = False, align: int = 1) -> Any:
    """Make a class of annotated fields a structure in C layout.

    ``packed`` leaves no padding (packet headers); ``align`` in bytes raises the alignment and rounds the size up.
    """
    namespace = Namespace(defining_locals(1), defining_globals(1))
    if align < 1 or align & (align - 1):
        raise LanguageError(f"an alignment is a power of two, not {align}")

    def decorate(cls: type[Any]) -> type[Any]:
        return _make(cls, namespace, packed, align)

    return decorate if cls is None else decorate(cls)


def _make(cls: type[Any], outer: Namespace, packed: bool, align: int) -> type[Any]:
    annotations = dict(vars(cls).get("__annotations__", {}))
    if not annotations:
        raise LanguageError(f"structure {cls.__name__} has no fields")
    lengths = {}
    for name in annotations:
        value = vars(cls).get(name)
        if isinstance(value, _Length):
            lengths[name] = value
            delattr(cls, name)
        elif name in vars(cls):
            raise LanguageError(f"field {name} of structure {cls.__name__} has a value: structures start zeroed")
        if name.startswith("_skep"):
            raise LanguageError(f"field {name} of structure {cls.__name__}: names in _skep are taken")
    namespace = outer.with_name(cls.__name__, cls)
    kind = StructType(
        cls.__name__, _resolver(cls.__name__, annotations, lengths, namespace), packed=packed, alignment=align
    )
    return _become_view(cls, kind)


def make_struct(name: str, fields: Mapping[str, object], *, packed: bool = False, align: int = 1) -> type[Any]:
    """A structure from a table: field names to types (``array_of(u8, 16)`` for an array)."""
    if not fields:
        raise LanguageError(f"structure {name} has no fields")
    cls: type[Any] = type(name, (), {})
    resolve = _resolver(name, dict(fields), {}, Namespace({}, {}))
    return _become_view(cls, StructType(name, resolve, packed=packed, alignment=align))


def _become_view(cls: type[Any], kind: StructType) -> type[Any]:
    setattr(cls, STRUCT_ATTRIBUTE, kind)
    kind.python_class = cls
    cls.__init__ = _view_init
    cls.__getattr__ = _view_getattr
    cls.__setattr__ = _view_setattr  # type: ignore[assignment]
    cls.__repr__ = _view_repr  # type: ignore[assignment]
    cls.__eq__ = _view_eq  # type: ignore[assignment]
    cls.__hash__ = None  # type: ignore[assignment]
    return cls


def allocate(size: int, align: int) -> tuple[int, object]:
    """Zeroed memory: its address, a multiple of ``align``, and the object that keeps it alive."""
    owner = (ctypes.c_uint8 * (size + align))()
    return -(-ctypes.addressof(owner) // align) * align, owner


def struct_type(cls: object) -> StructType:
    """The layout behind a structure class (or an instance of one)."""
    found = getattr(cls, STRUCT_ATTRIBUTE, None)
    if not isinstance(found, StructType):
        raise LanguageError(f"{cls!r} is not a structure: decorate the class with @struct")
    return found


def view(cls: type[T], address: int, owner: object = None) -> T:
    """A view of the structure at ``address``, which the caller keeps alive (or ``owner`` does)."""
    struct_type(cls)
    made = object.__new__(cls)
    object.__setattr__(made, "_skep_address", address)
    object.__setattr__(made, "_skep_owner", owner)
    return made


def read_value(kind: Type, address: int, owner: object = None) -> Any:
    """The value of ``kind`` at ``address``: an integer, a bool, or a view."""
    if isinstance(kind, StructType):
        assert kind.python_class is not None
        return view(kind.python_class, address, owner)
    if isinstance(kind, ArrayType):
        return ArrayView(kind, address, owner)
    return scalar_ctype(kind).from_address(address).value


def write_value(kind: Type, address: int, value: object) -> None:
    """Store ``value`` at ``address``: integers wrap; a structure or array takes bytes or another view of its type."""
    if isinstance(kind, StructType | ArrayType):
        data = bytes(value) if isinstance(value, bytes | bytearray | memoryview) else None
        if data is None:
            source, size = address_of_view(value), kind.size
            ctypes.memmove(address, source, size)
            return
        if len(data) != kind.size:
            raise LanguageError(f"{kind.name} takes {kind.size} bytes, not {len(data)}")
        ctypes.memmove(address, data, len(data))
        return
    scalar_ctype(kind).from_address(address).value = value


def address_of_view(value: object) -> int:
    """The address of a structure or array view."""
    address = getattr(value, "_skep_address", None)
    if not isinstance(address, int):
        raise LanguageError(f"{value!r} has no address: only structures and arrays in memory have one")
    return address


def to_bytes(value: object) -> bytes:
    """The bytes of a structure or array view."""
    kind = value.kind if isinstance(value, ArrayView) else struct_type(value)
    return ctypes.string_at(address_of_view(value), kind.size)


class ArrayView:
    """An array in memory: indexing reads and writes it."""

    __slots__ = ("_skep_address", "_skep_owner", "kind")

    def __init__(self, kind: ArrayType, address: int, owner: object = None) -> None:
        self.kind = kind
        self._skep_address = address
        self._skep_owner = owner

    def _place(self, index: int) -> int:
        if not 0 <= index < self.kind.length:
            raise IndexError(f"index {index} is outside {self.kind.name}")
        return self._skep_address + index * self.kind.element.size

    def __getitem__(self, index: int) -> Any:
        return read_value(self.kind.element, self._place(index), self._skep_owner)

    def __setitem__(self, index: int, value: object) -> None:
        write_value(self.kind.element, self._place(index), value)

    def __len__(self) -> int:
        return self.kind.length

    def __iter__(self) -> Iterator[Any]:
        return (self[index] for index in range(self.kind.length))

    def __bytes__(self) -> bytes:
        return to_bytes(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ArrayView) and other.kind is self.kind and bytes(other) == bytes(self)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{self.kind.name}({list(self)!r})"


def _view_init(self: object, **values: object) -> None:
    kind = struct_type(self)
    address, owner = allocate(kind.size, kind.align)
    object.__setattr__(self, "_skep_address", address)
    object.__setattr__(self, "_skep_owner", owner)
    for name, value in values.items():
        setattr(self, name, value)


def _view_getattr(self: object, name: str) -> Any:
    kind = struct_type(type(self))
    field = kind.fields.get(name)
    if field is None:
        raise AttributeError(f"structure {kind.name} has no field {name}")
    return read_value(field.type, address_of_view(self) + field.offset, object.__getattribute__(self, "_skep_owner"))


def _view_setattr(self: object, name: str, value: object) -> None:
    kind = struct_type(type(self))
    field = kind.fields.get(name)
    if field is None:
        raise AttributeError(f"structure {kind.name} has no field {name}")
    write_value(field.type, address_of_view(self) + field.offset, value)


def _view_repr(self: object) -> str:
    kind = struct_type(type(self))
    return f"{kind.name}({', '.join(f'{name}={getattr(self, name)!r}' for name in kind.fields)})"


def _view_eq(self: object, other: object) -> bool:
    return type(self) is type(other) and to_bytes(self) == to_bytes(other)
