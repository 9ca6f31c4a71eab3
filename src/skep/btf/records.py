"""BTF type records to values and back: the words of one type, in the byte order of this machine.

Source: the kernel's ``Documentation/bpf/btf.rst``, section "Type Encoding".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from skep.btf.kinds import ENTRY_WORDS, FIXED_WORDS, Kind
from skep.btf.types import (
    Array,
    DataSection,
    DeclTag,
    Enum,
    Enum64,
    Enumerator,
    Float,
    Forward,
    Function,
    FunctionPrototype,
    Int,
    Linkage,
    Member,
    Modifier,
    Parameter,
    Pointer,
    SectionVariable,
    Struct,
    Type,
    Typedef,
    TypeTag,
    Union,
    Variable,
)
from skep.btf.types import Const as ConstType
from skep.btf.types import Restrict as RestrictType
from skep.btf.types import Volatile as VolatileType
from skep.errors import BtfError

_SIGNED, _CHAR, _BOOL = 1, 2, 4
#: How many of the lower bits of a member's position are its offset when its struct has bit fields.
_MEMBER_OFFSET_BITS = 24


def _signed(word: int) -> int:
    return word - (1 << 32) if word >> 31 else word


def _linkage(number: int) -> Linkage:
    try:
        return Linkage(number)
    except ValueError:
        raise BtfError(f"linkage {number} is unknown; the data is damaged") from None


def decode_type(words: Sequence[int], start: int, string: Callable[[int], str]) -> Type:
    """The type whose record starts at ``words[start]``; ``string`` gives the text at an offset.

    The caller knows that the whole record lies within ``words`` and that its kind is a known one.
    """
    name_offset, info, extra = words[start], words[start + 1], words[start + 2]
    kind, count, flag = Kind(info >> 24 & 31), info & 0xFFFF, bool(info >> 31)
    name = string(name_offset)
    body = start + FIXED_WORDS[kind]
    step = ENTRY_WORDS.get(kind, 0)
    entries = range(body, body + count * step, step) if step else range(0)
    match kind:
        case Kind.INT:
            word = words[start + 3]
            encoding = word >> 24 & 15
            return Int(
                name,
                size=extra,
                bits=word & 0xFF,
                bit_offset=word >> 16 & 0xFF,
                signed=bool(encoding & _SIGNED),
                is_char=bool(encoding & _CHAR),
                is_bool=bool(encoding & _BOOL),
            )
        case Kind.FLOAT:
            return Float(name, extra)
        case Kind.PTR:
            return Pointer(name, extra)
        case Kind.ARRAY:
            return Array(name, words[start + 3], words[start + 4], words[start + 5])
        case Kind.STRUCT | Kind.UNION:
            members = tuple(_member(string(words[at]), words[at + 1], words[at + 2], flag) for at in entries)
            return (Struct if kind is Kind.STRUCT else Union)(name, extra, members)
        case Kind.ENUM:
            values = tuple(
                Enumerator(string(words[at]), _signed(words[at + 1]) if flag else words[at + 1]) for at in entries
            )
            return Enum(name, extra, flag, values)
        case Kind.ENUM64:
            return Enum64(
                name,
                extra,
                flag,
                tuple(
                    Enumerator(
                        string(words[at]),
                        words[at + 1] | (_signed(words[at + 2]) if flag else words[at + 2]) << 32,
                    )
                    for at in entries
                ),
            )
        case Kind.FWD:
            return Forward(name, flag)
        case Kind.TYPEDEF:
            return Typedef(name, extra)
        case Kind.VOLATILE:
            return VolatileType(name, extra)
        case Kind.CONST:
            return ConstType(name, extra)
        case Kind.RESTRICT:
            return RestrictType(name, extra)
        case Kind.TYPE_TAG:
            return TypeTag(name, extra, flag)
        case Kind.DECL_TAG:
            return DeclTag(name, extra, _signed(words[start + 3]), flag)
        case Kind.FUNC:
            return Function(name, extra, _linkage(count))
        case Kind.FUNC_PROTO:
            parameters = [Parameter(string(words[at]), words[at + 1]) for at in entries]
            variadic = bool(parameters) and parameters[-1] == Parameter("", 0)
            return FunctionPrototype(name, extra, tuple(parameters[:-1] if variadic else parameters), variadic)
        case Kind.VAR:
            return Variable(name, extra, _linkage(words[start + 3]))
        case Kind.DATASEC:
            return DataSection(
                name,
                extra,
                tuple(SectionVariable(words[at], words[at + 1], words[at + 2]) for at in entries),
            )
    raise BtfError(f"type kind {kind} has no record")


def _member(name: str, type_id: int, position: int, with_sizes: bool) -> Member:
    if with_sizes:
        return Member(name, type_id, position & (1 << _MEMBER_OFFSET_BITS) - 1, position >> _MEMBER_OFFSET_BITS)
    return Member(name, type_id, position)


def _position(member: Member, with_sizes: bool) -> int:
    if not with_sizes:
        return member.bit_offset
    if member.bit_offset >> _MEMBER_OFFSET_BITS or member.bit_size >> 8:
        raise BtfError(
            f"member {member.name!r}: a struct with bit fields holds at most "
            f"{1 << _MEMBER_OFFSET_BITS - 3} bytes and fields of 255 bits"
        )
    return member.bit_size << _MEMBER_OFFSET_BITS | member.bit_offset


def encode_type(type: Type, string: Callable[[str], int]) -> list[int]:
    """The words of ``type``, each 0 to 2^32 - 1; ``string`` gives the offset of a text."""
    kind = type.kind
    extra, count, flag = 0, 0, False
    rest: list[int] = []
    match type:
        case Int():
            encoding = type.signed * _SIGNED | type.is_char * _CHAR | type.is_bool * _BOOL
            extra = type.size
            rest = [encoding << 24 | type.bit_offset << 16 | type.bits]
        case Pointer() | Modifier():
            extra = type.target
            flag = isinstance(type, TypeTag) and type.is_attribute
        case Array():
            rest = [type.element, type.index, type.length]
        case Struct() | Union():
            extra, count = type.size, len(type.members)
            flag = any(member.bit_size for member in type.members)
            for member in type.members:
                rest += (string(member.name), member.type, _position(member, flag))
        case Enum():
            extra, count, flag = type.size, len(type.values), type.signed
            for value in type.values:
                rest += (string(value.name), value.value)
        case Enum64():
            extra, count, flag = type.size, len(type.values), type.signed
            for value in type.values:
                rest += (string(value.name), value.value & 0xFFFFFFFF, value.value >> 32)
        case Float():
            extra = type.size
        case Forward():
            flag = type.is_union
        case DeclTag():
            extra, flag, rest = type.target, type.is_attribute, [type.component]
        case Function():
            extra, count = type.prototype, int(type.linkage)
        case FunctionPrototype():
            extra = type.result
            parameters = type.parameters + ((Parameter("", 0),) if type.variadic else ())
            count = len(parameters)
            for parameter in parameters:
                rest += (string(parameter.name), parameter.type)
        case Variable():
            extra, rest = type.type, [int(type.linkage)]
        case DataSection():
            extra, count = type.size, len(type.variables)
            for variable in type.variables:
                rest += (variable.variable, variable.offset, variable.size)
        case _:
            raise BtfError(f"{kind.name} has no record")
    if count > 0xFFFF:
        raise BtfError(f"{type.name or kind.name}: {count} entries, but a BTF record holds at most 65535")
    words = [string(type.name), int(flag) << 31 | kind << 24 | count, extra, *rest]
    for word in words:
        if not -(1 << 31) <= word < 1 << 32:
            raise BtfError(f"{type.name or kind.name}: {word} does not fit the 32 bits that BTF has for it")
    return [word & 0xFFFFFFFF for word in words]
