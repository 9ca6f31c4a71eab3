"""BTF types as C: names, declarators, and bodies of structs whose members come to lie where BTF says.

C puts a member at the next place that its type's alignment allows. Where BTF has it later, unnamed bit fields fill
the gap; where BTF has it earlier, the struct is packed. Bits are placed as the System V ABI for x86-64 and LLVM's BPF
target do: a bit field does not cross a unit of its own type, and unnamed ones do not align the struct.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from skep.btf.btf import Btf
from skep.btf.types import (
    Array,
    Composite,
    Const,
    Enum64,
    Enumeration,
    Float,
    Forward,
    FunctionPrototype,
    Int,
    Member,
    Pointer,
    Restrict,
    Struct,
    Type,
    Typedef,
    TypeTag,
    Union,
    Void,
    Volatile,
)
from skep.errors import BtfError

_INDENT = "\t"
_MAX_DEPTH = 64
#: Words that make up C's own integer and floating-point types.
_C_WORDS = frozenset(
    ("unsigned", "signed", "char", "short", "int", "long", "_Bool", "bool", "__int128", "float", "double", "_Float16")
)
_BY_SIZE = {1: "char", 2: "short", 4: "int", 8: "long long", 16: "__int128"}
_PADDING = ((64, "unsigned long long"), (32, "unsigned int"), (16, "unsigned short"), (8, "unsigned char"))
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*", re.ASCII)


class CNames:
    """C names for types, each used once: a second struct ``x`` becomes ``x___2``, as bpftool has it."""

    def __init__(self, btf: Btf) -> None:
        self._btf = btf
        self._names: dict[int, str] = {}
        self._tags: set[str] = set()
        self._identifiers: set[str] = set()

    def of(self, type_id: int) -> str:
        """The name of a struct, union, enumeration or typedef."""
        if (known := self._names.get(type_id)) is None:
            type = self._btf[type_id]
            taken = self._identifiers if isinstance(type, Typedef) else self._tags
            known = self._names[type_id] = _unused(_identifier(type.name), taken)
        return known

    def enumerator(self, name: str) -> str:
        """The name of a value of an enumeration, which shares its space with typedefs."""
        return _unused(_identifier(name), self._identifiers)


def _identifier(name: str) -> str:
    """A C identifier for a name that may come from another language (``Option<u32>``)."""
    if _IDENTIFIER.fullmatch(name):
        return name
    return "_" + re.sub(r"\W", "_", name, flags=re.ASCII)


def _unused(name: str, taken: set[str]) -> str:
    number, found = 1, name
    while found in taken:
        number += 1
        found = f"{name}___{number}"
    taken.add(found)
    return found


def base_name(type: Int | Float) -> str:
    """C's own name for a number; one that another language named is known by its size."""
    if type.name and _C_WORDS.issuperset(type.name.split()):
        return type.name
    if isinstance(type, Float):
        return {2: "_Float16", 4: "float", 8: "double"}.get(type.size, "long double")
    if type.is_bool:
        return "_Bool"
    name = _BY_SIZE.get(type.size)
    if name is None:
        raise BtfError(f"C has no integer of {type.size} bytes, as {type.name!r} is")
    return ("signed " if type.signed and type.size == 1 else "" if type.signed else "unsigned ") + name


class CTypes:
    """Writes declarations and definitions."""

    def __init__(self, btf: Btf) -> None:
        self.btf = btf
        self.names = CNames(btf)

    def declaration(self, type_id: int, name: str, depth: int = 0) -> str:
        """``name`` declared as that type, without the semicolon: C's inside-out syntax."""
        qualifiers: list[str] = []
        inner = name
        for _ in range(_MAX_DEPTH * 4):
            type = self.btf[type_id]
            match type:
                case Const() | Volatile() | Restrict():
                    if (word := type.kind.name.lower()) not in qualifiers:
                        qualifiers.append(word)
                    type_id = type.target
                case TypeTag():
                    tag = type.name if type.is_attribute else f"btf_type_tag({json.dumps(type.name)})"
                    qualifiers.append(f"__attribute__(({tag}))")
                    type_id = type.target
                case Pointer():
                    words = " ".join(reversed(qualifiers))
                    inner = f"*{' ' * bool(words)}{words}{' ' * bool(words and inner)}{inner}"
                    qualifiers = []
                    type_id = type.target
                case Array():
                    inner = f"{_bound(inner)}[{type.length}]"
                    type_id = type.element
                case FunctionPrototype():
                    inner = f"{_bound(inner)}({self.parameters(type, depth)})"
                    qualifiers = []
                    type_id = type.result
                case _:
                    prefix = [word for word in reversed(qualifiers) if word != "restrict"]
                    text = " ".join([*prefix, self.specifier(type_id, type, depth)])
                    return f"{text} {inner}".rstrip() if inner else text
        raise BtfError(f"type {type_id} refers to itself; the data is damaged")

    def parameters(self, type: FunctionPrototype, depth: int) -> str:
        """What stands between the parentheses of a function."""
        if depth > _MAX_DEPTH:
            raise BtfError("a function prototype refers to itself; the data is damaged")
        texts = [self.declaration(parameter.type, parameter.name, depth + 1) for parameter in type.parameters]
        if type.variadic:
            texts.append("...")
        return ", ".join(texts) or "void"

    def specifier(self, type_id: int, type: Type, depth: int) -> str:
        """What stands before the declarator: ``unsigned int``, ``struct x``, or a body for what has no name."""
        match type:
            case Void():
                return "void"
            case Int() | Float():
                return base_name(type)
            case Typedef():
                return self.names.of(type_id)
            case Forward():
                return f"{'union' if type.is_union else 'struct'} {_identifier(type.name)}"
            case Composite() | Enumeration():
                if type.name:
                    return f"{_keyword(type)} {self.names.of(type_id)}"
                return self.body(type, depth)
        raise BtfError(f"type {type_id} ({type.kind.name}) has no place in a C declaration")

    def definition(self, type_id: int) -> str:
        """A struct, union or enumeration with its body, or a typedef; with the semicolon."""
        type = self.btf[type_id]
        if isinstance(type, Typedef):
            return f"typedef {self.declaration(type.target, self.names.of(type_id))};"
        if isinstance(type, Composite | Enumeration):
            return f"{self.body(type, 0, self.names.of(type_id) if type.name else '')};"
        raise BtfError(f"type {type_id} ({type.kind.name}) has no definition in C")

    def body(self, type: Composite | Enumeration, depth: int, name: str = "") -> str:
        """``struct name { ... }`` with the members indented one step more than ``depth``."""
        if depth > _MAX_DEPTH:
            raise BtfError("a struct contains itself; the data is damaged")
        head = f"{_keyword(type)} {name}".rstrip()
        outer, step = _INDENT * depth, _INDENT * (depth + 1)
        if isinstance(type, Enumeration):
            lines = [f"{self.names.enumerator(entry.name)} = {_literal(entry.value, type)}," for entry in type.values]
            if not lines:
                return head
            small = {1: " __attribute__((mode(byte)))", 2: " __attribute__((mode(HI)))"}
            tail = "" if isinstance(type, Enum64) else small.get(type.size, "")
            if type.size == 8 and all(-(1 << 31) <= entry.value < 1 << 32 for entry in type.values):
                tail = " __attribute__((mode(DI)))"
        else:
            packed = self.is_packed(type)
            lines = list(self.members(type, depth + 1, packed))
            tail = " __attribute__((packed))" if packed else ""
        return "\n".join([f"{head} {{", *(step + line for line in lines), f"{outer}}}{tail}"])

    def is_packed(self, type: Composite) -> bool:
        """Whether C would lay the members out further apart than BTF has them, or the whole larger."""
        widest, position = 1, 0
        for member in type.members:
            align = self.btf.align_of(member.type)
            start = self._natural(member, position, packed=False)
            if isinstance(type, Struct) and start > member.bit_offset:
                return True
            widest = max(widest, align)
            position = max(position, member.bit_offset + self._bits(member))
            if isinstance(type, Union):
                position = 0
        return type.size % widest != 0

    def _bits(self, member: Member) -> int:
        return member.bit_size or 8 * self.btf.size_of(member.type)

    def _natural(self, member: Member, position: int, packed: bool) -> int:
        """Where C puts a member when ``position`` bits are taken."""
        if member.bit_size:
            unit = 8 * self.btf.size_of(member.type)
            if packed or position // unit == (position + member.bit_size - 1) // unit:
                return position
            return position + -position % unit
        align = 8 if packed else 8 * self.btf.align_of(member.type)
        return position + -position % align

    def members(self, type: Composite, depth: int, packed: bool) -> Iterator[str]:
        """The lines of a body."""
        position, widest = 0, 1
        for member in type.members:
            if isinstance(type, Struct):
                if self._natural(member, position, packed) < member.bit_offset:
                    yield from self._gap(position, member.bit_offset)
                position = member.bit_offset + self._bits(member)
            else:
                position = max(position, self._bits(member))
            widest = 1 if packed else max(widest, self.btf.align_of(member.type))
            name = _identifier(member.name) if member.name else ""
            bits = f":{member.bit_size}" if member.bit_size else ""
            yield self.declaration(member.type, name, depth) + bits + ";"
        end = position + -position % (8 * widest)
        if end < 8 * type.size:
            if isinstance(type, Struct):
                yield from self._gap(position, 8 * type.size)
            else:
                yield f"unsigned char __size[{type.size}];"

    def _gap(self, start: int, end: int) -> Iterator[str]:
        """Unnamed bit fields from one bit to another, each as wide as its place allows."""
        if (end - start) // 64 > 1024:
            yield from self._gap(start, start + -start % 8)
            start += -start % 8
            yield f"unsigned char __gap_{start // 8}[{(end - start) // 8}];"
            start = end - (end - start) % 8
        while start < end:
            width, unit = next(
                ((bits, unit) for bits, unit in _PADDING if not start % bits and start + bits <= end),
                (min(8 - start % 8, end - start), "unsigned char"),
            )
            yield f"{unit}:{width};"
            start += width


def _keyword(type: Composite | Enumeration) -> str:
    return "enum" if isinstance(type, Enumeration) else "struct" if isinstance(type, Struct) else "union"


def _literal(value: int, type: Enumeration) -> str:
    if isinstance(type, Enum64):
        # The least 64-bit value has no literal of its own.
        return "(-9223372036854775807LL - 1)" if value == -(1 << 63) else f"{value}{'LL' if type.signed else 'ULL'}"
    return "(-2147483647 - 1)" if value == -(1 << 31) else f"{value}{'' if type.signed else 'U' * (value >> 31)}"


def _bound(inner: str) -> str:
    """An inner declarator that an array or function is to follow: a pointer needs parentheses."""
    return f"({inner})" if inner.startswith("*") else inner
