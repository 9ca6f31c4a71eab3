"""BTF types as values: one frozen dataclass a kind, referring to other types by id.

Ids, not objects, because types are cyclic and are decoded only when somebody looks. Sizes are bytes,
``bit_offset`` and ``bit_size`` bits from the start of the enclosing type. Id 0 is void.
Source: the kernel's ``Documentation/bpf/btf.rst``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar

from skep.btf.kinds import Kind


class Linkage(IntEnum):
    """Whether a function or variable is seen outside its file, or lives elsewhere."""

    STATIC = 0
    GLOBAL = 1
    EXTERN = 2


@dataclass(frozen=True, slots=True)
class Type:
    """What all types have: a name, empty where the kind or the source has none."""

    kind: ClassVar[Kind]
    name: str = ""


@dataclass(frozen=True, slots=True)
class Void(Type):
    """No type: id 0."""

    kind: ClassVar[Kind] = Kind.VOID


@dataclass(frozen=True, slots=True)
class Int(Type):
    """An integer of ``size`` bytes; ``bits`` and ``bit_offset`` differ from the whole only in old bit fields."""

    kind: ClassVar[Kind] = Kind.INT
    size: int = 0
    bits: int = 0
    bit_offset: int = 0
    signed: bool = False
    is_char: bool = False
    is_bool: bool = False


@dataclass(frozen=True, slots=True)
class Float(Type):
    """A floating-point number of ``size`` bytes."""

    kind: ClassVar[Kind] = Kind.FLOAT
    size: int = 0


@dataclass(frozen=True, slots=True)
class Pointer(Type):
    """A pointer to ``target``."""

    kind: ClassVar[Kind] = Kind.PTR
    target: int = 0


@dataclass(frozen=True, slots=True)
class Array(Type):
    """``length`` elements of type ``element``; ``index`` is the type that counts them. Length 0: flexible."""

    kind: ClassVar[Kind] = Kind.ARRAY
    element: int = 0
    index: int = 0
    length: int = 0


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a struct or union; ``bit_size`` is 0 unless it is a bit field."""

    name: str
    type: int
    bit_offset: int
    bit_size: int = 0


@dataclass(frozen=True, slots=True)
class Composite(Type):
    """What structs and unions share."""

    size: int = 0
    members: tuple[Member, ...] = ()


@dataclass(frozen=True, slots=True)
class Struct(Composite):
    """A struct of ``size`` bytes."""

    kind: ClassVar[Kind] = Kind.STRUCT


@dataclass(frozen=True, slots=True)
class Union(Composite):
    """A union of ``size`` bytes."""

    kind: ClassVar[Kind] = Kind.UNION


@dataclass(frozen=True, slots=True)
class Enumerator:
    """One name of an enumeration and its value."""

    name: str
    value: int


@dataclass(frozen=True, slots=True)
class Enumeration(Type):
    """What the two kinds of enumeration share."""

    size: int = 4
    signed: bool = False
    values: tuple[Enumerator, ...] = ()


@dataclass(frozen=True, slots=True)
class Enum(Enumeration):
    """An enumeration whose values fit 32 bits."""

    kind: ClassVar[Kind] = Kind.ENUM


@dataclass(frozen=True, slots=True)
class Enum64(Enumeration):
    """An enumeration with 64-bit values."""

    kind: ClassVar[Kind] = Kind.ENUM64
    size: int = 8


@dataclass(frozen=True, slots=True)
class Forward(Type):
    """A struct or union that is named but not defined."""

    kind: ClassVar[Kind] = Kind.FWD
    is_union: bool = False


@dataclass(frozen=True, slots=True)
class Modifier(Type):
    """A type that is another one with something added: a name, a qualifier, a tag."""

    target: int = 0


@dataclass(frozen=True, slots=True)
class Typedef(Modifier):
    """Another name for ``target``."""

    kind: ClassVar[Kind] = Kind.TYPEDEF


@dataclass(frozen=True, slots=True)
class Volatile(Modifier):
    """``volatile target``."""

    kind: ClassVar[Kind] = Kind.VOLATILE


@dataclass(frozen=True, slots=True)
class Const(Modifier):
    """``const target``."""

    kind: ClassVar[Kind] = Kind.CONST


@dataclass(frozen=True, slots=True)
class Restrict(Modifier):
    """``restrict target``."""

    kind: ClassVar[Kind] = Kind.RESTRICT


@dataclass(frozen=True, slots=True)
class TypeTag(Modifier):
    """``target`` with the tag ``name``; ``is_attribute`` tells a plain compiler attribute from ``btf_type_tag``."""

    kind: ClassVar[Kind] = Kind.TYPE_TAG
    is_attribute: bool = False


@dataclass(frozen=True, slots=True)
class DeclTag(Type):
    """A tag ``name`` on ``target``, or on its member or parameter ``component`` (-1: on the whole)."""

    kind: ClassVar[Kind] = Kind.DECL_TAG
    target: int = 0
    component: int = -1
    is_attribute: bool = False


@dataclass(frozen=True, slots=True)
class Function(Type):
    """A function with the prototype ``prototype``."""

    kind: ClassVar[Kind] = Kind.FUNC
    prototype: int = 0
    linkage: Linkage = Linkage.STATIC


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a prototype."""

    name: str
    type: int


@dataclass(frozen=True, slots=True)
class FunctionPrototype(Type):
    """Parameters and result of a function; ``variadic`` where it ends in ``...``."""

    kind: ClassVar[Kind] = Kind.FUNC_PROTO
    result: int = 0
    parameters: tuple[Parameter, ...] = ()
    variadic: bool = False


@dataclass(frozen=True, slots=True)
class Variable(Type):
    """A variable of type ``type``."""

    kind: ClassVar[Kind] = Kind.VAR
    type: int = 0
    linkage: Linkage = Linkage.STATIC


@dataclass(frozen=True, slots=True)
class SectionVariable:
    """Where the variable with the type id ``variable`` lies in its section."""

    variable: int
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class DataSection(Type):
    """An ELF section of ``size`` bytes and the variables in it."""

    kind: ClassVar[Kind] = Kind.DATASEC
    size: int = 0
    variables: tuple[SectionVariable, ...] = ()
