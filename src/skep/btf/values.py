"""Bytes to Python values through a BTF type, and back: how map contents are printed and globals set.

An integer becomes an ``int``, a C ``_Bool`` a ``bool``, an array of ``char`` that holds text a ``str``, an
enumeration the name of its value, a pointer an `Address`, a struct or union a ``dict`` (anonymous ones merged into
theirs), any other array a ``list``. Bit fields are read as their own width. The way back takes what came out, names
or numbers.
"""

from __future__ import annotations

import json
import math
import struct
from typing import Any

from skep.btf.btf import Btf
from skep.btf.types import (
    Array,
    Composite,
    DataSection,
    Enumeration,
    Float,
    Int,
    Member,
    Pointer,
    Type,
    Variable,
)
from skep.errors import BtfError, RequestError

#: What `decode` returns and `encode` takes; nested dicts and lists of these too.
Value = Any

_MAX_DEPTH = 64
_MAX_BITS = 128
#: Characters of a value that a message repeats.
_MAX_SHOWN = 60
_FLOATS = {2: "e", 4: "f", 8: "d"}


class Address(int):
    """A pointer's value: an int that prints as hexadecimal."""

    def __repr__(self) -> str:
        return hex(self)

    __str__ = __repr__


def decode(btf: Btf, type_id: int, data: bytes | bytearray | memoryview) -> Value:
    """The value of that type that starts ``data``. Raises `BtfError` where there are too few bytes for it."""
    size = btf.size_of(type_id)
    if len(data) < size:
        raise BtfError(f"a value of {size} bytes cannot be read from {len(data)}")
    return _Decoder(btf, 1000 + 64 * size).value(type_id, bytes(data[:size]), 0)


def encode(btf: Btf, type_id: int, value: Value, old: bytes | None = None) -> bytes:
    """The bytes of ``value`` in that type.

    A dict may leave members out, and a list elements at its end: they keep their bytes from ``old``, or are zero.
    Raises `RequestError` where the value does not fit the type, with the member that it speaks of.
    """
    size = btf.size_of(type_id)
    if old is not None and len(old) != size:
        raise RequestError(f"the old value has {len(old)} bytes, its type {size}")
    if size > 1 << 30:
        raise BtfError(f"a value of {size} bytes is impossible; the BTF is damaged")
    target = bytearray(old if old is not None else size)
    _Encoder(btf, target).value(type_id, value, 0, "", 0)
    return bytes(target)


def from_text(btf: Btf, type_id: int, text: str) -> Value:
    """What ``text`` from a command line means for that type: a number, name or text, JSON for structs and arrays."""
    type = btf.resolve(type_id)
    if isinstance(type, Array) and _is_char(btf.resolve(type.element)):
        return text
    try:
        match type:
            case Int() if type.is_bool and text.lower() in ("true", "false"):
                return text.lower() == "true"
            case Enumeration() if any(entry.name == text for entry in type.values):
                return text
            case Int() | Enumeration() | Pointer():
                return int(text, 0)
            case Float():
                return float(text)
            case _:
                return json.loads(text)
    except (ValueError, RecursionError):
        choices = ", ".join(entry.name for entry in type.values) if isinstance(type, Enumeration) else ""
        what = f"one of {choices} or a number" if choices else _describe(type)
        shown = text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "..."
        raise RequestError(f"{shown!r} is not {what}") from None


def _describe(type: Type) -> str:
    match type:
        case Int() if type.is_bool:
            return "true, false or a number"
        case Int() | Pointer() | Enumeration():
            return "a number"
        case Float():
            return "a floating-point number"
        case Array():
            return "a list (as JSON: [1, 2])"
    return 'members and their values (as JSON: {"name": 1})'


def _is_char(type: Type) -> bool:
    # Compilers do not set the encoding bit that BTF has for characters; the name tells.
    return isinstance(type, Int) and type.size == 1 and (type.is_char or type.name == "char")


def _text(data: bytes) -> str | None:
    """``data`` as text that zero bytes end, or None if it is no such thing."""
    text, _, rest = data.partition(b"\0")
    if rest.strip(b"\0"):
        return None
    try:
        found = text.decode()
    except UnicodeDecodeError:
        return None
    return found if all(letter.isprintable() or letter in "\n\t" for letter in found) else None


def _check_width(type: Type, bits: int) -> None:
    """Refuse a number that no machine has, which damaged types may claim."""
    if not 0 < bits <= _MAX_BITS:
        raise BtfError(f"{type.name!r} is a number of {bits} bits, which is impossible; the BTF is damaged")


class _Decoder:
    """One value being read; ``budget`` bounds what damaged types can make of few bytes."""

    def __init__(self, btf: Btf, budget: int) -> None:
        self.btf, self.budget = btf, budget

    def value(self, type_id: int, data: bytes, depth: int) -> Value:
        self.budget -= 1
        if depth > _MAX_DEPTH or self.budget < 0:
            raise BtfError(f"type {type_id} contains itself; the data is damaged")
        btf = self.btf
        match type := btf.resolve(type_id):
            case Int() if type.bits != 8 * type.size or type.bit_offset:
                return self.bits(type, data, type.bit_offset, type.bits)
            case Int() | Enumeration():
                _check_width(type, 8 * type.size)
                return self.number(type, int.from_bytes(data[: type.size], btf.byte_order, signed=type.signed))
            case Pointer():
                return Address(int.from_bytes(data[: btf.pointer_size], btf.byte_order))
            case Float():
                if type.size not in _FLOATS:
                    raise BtfError(f"a floating-point number of {type.size} bytes cannot be read")
                prefix = "<" if btf.byte_order == "little" else ">"
                return struct.unpack(prefix + _FLOATS[type.size], data[: type.size])[0]
            case Array():
                return self.array(type, data, depth)
            case Composite():
                found: dict[str, Value] = {}
                for member in type.members:
                    self.member(member, data, found, depth)
                return found
            case Variable():
                return self.value(type.type, data, depth + 1)
            case DataSection():
                return {
                    btf[entry.variable].name: self.value(
                        entry.variable, self.part(data, entry.offset, btf.size_of(entry.variable)), depth + 1
                    )
                    for entry in type.variables
                }
        raise BtfError(f"type {type_id} ({type.kind.name} {type.name!r}) has no values")

    def part(self, data: bytes, start: int, size: int) -> bytes:
        if start + size > len(data):
            raise BtfError(f"a member ends at byte {start + size} of {len(data)}; the BTF is damaged")
        return data[start : start + size]

    def number(self, type: Int | Enumeration, number: int) -> Value:
        if isinstance(type, Enumeration):
            return next((entry.name for entry in type.values if entry.value == number), number)
        return bool(number) if type.is_bool else number

    def bits(self, type: Int | Enumeration, data: bytes, offset: int, size: int) -> Value:
        _check_width(type, size)
        start = offset // 8
        covering = self.part(data, start, (offset % 8 + size + 7) // 8)
        number = int.from_bytes(covering, self.btf.byte_order)
        low = offset % 8 if self.btf.byte_order == "little" else 8 * len(covering) - offset % 8 - size
        number = number >> low & (1 << size) - 1
        if type.signed and number >> size - 1:
            number -= 1 << size
        return self.number(type, number)

    def array(self, type: Array, data: bytes, depth: int) -> Value:
        element = self.btf.resolve(type.element)
        if _is_char(element) and (text := _text(data)) is not None:
            return text
        size = self.btf.size_of(type.element)
        if not size or not type.length:
            return []
        return [
            self.value(type.element, data[start : start + size], depth + 1)
            for start in range(0, type.length * size, size)
        ]

    def member(self, member: Member, data: bytes, found: dict[str, Value], depth: int) -> None:
        type = self.btf.resolve(member.type)
        if member.bit_size and isinstance(type, Int | Enumeration):
            if member.name:
                found[member.name] = self.bits(type, data, member.bit_offset, member.bit_size)
            return
        part = self.part(data, member.bit_offset // 8, self.btf.size_of(member.type))
        value = self.value(member.type, part, depth + 1)
        if member.name:
            found[member.name] = value
        elif isinstance(value, dict):
            found.update(value)


class _Encoder:
    """One value being written into ``target``; ``path`` is how the value is called in messages."""

    def __init__(self, btf: Btf, target: bytearray) -> None:
        self.btf, self.target = btf, target

    def value(self, type_id: int, value: Value, bit_offset: int, path: str, bit_size: int) -> None:
        btf = self.btf
        match type := btf.resolve(type_id):
            case Int() | Enumeration() | Pointer():
                size = btf.pointer_size if isinstance(type, Pointer) else type.size
                signed = not isinstance(type, Pointer) and type.signed
                width = bit_size or 8 * size
                _check_width(type, width)
                number = self.number(type, value, path)
                low, high = (-(1 << width - 1), (1 << width) - 1) if signed else (0, (1 << width) - 1)
                if not low <= number <= high:
                    raise self.misfit(path, f"{number} does not fit {width} bits, it has to be {low} to {high}")
                self.bits(bit_offset, width, number & (1 << width) - 1)
            case Float():
                if not isinstance(value, int | float) or type.size not in _FLOATS:
                    raise self.misfit(path, f"{value!r} is not a floating-point number of {type.size} bytes")
                prefix = "<" if btf.byte_order == "little" else ">"
                try:
                    self.bytes(bit_offset // 8, struct.pack(prefix + _FLOATS[type.size], value))
                except OverflowError:
                    raise self.misfit(path, f"{value!r} is too large for {type.size} bytes") from None
            case Array():
                self.array(type, value, bit_offset, path)
            case Composite():
                self.composite(type_id, value, bit_offset, path)
            case Variable():
                self.value(type.type, value, bit_offset, path, 0)
            case _:
                raise self.misfit(path, f"a {type.kind.name} has no values")

    def misfit(self, path: str, problem: str) -> RequestError:
        return RequestError(f"{path}: {problem}" if path else problem)

    def number(self, type: Int | Enumeration | Pointer, value: Value, path: str) -> int:
        if isinstance(value, str) and isinstance(type, Enumeration):
            for entry in type.values:
                if entry.name == value:
                    return entry.value
            names = ", ".join(entry.name for entry in type.values[:20])
            raise self.misfit(path, f"{value!r} is not one of {names}")
        if isinstance(value, str) and len(value) == 1 and _is_char(type):
            return ord(value)
        if isinstance(value, float) and math.isfinite(value) and value == int(value):
            return int(value)
        if not isinstance(value, int):
            raise self.misfit(path, f"{value!r} is not a number")
        if isinstance(type, Int) and type.is_bool and value not in (0, 1):
            raise self.misfit(path, f"{value!r} is neither true nor false")
        return int(value)

    def bits(self, offset: int, width: int, number: int) -> None:
        start, end = offset // 8, (offset + width + 7) // 8
        if end > len(self.target):
            raise BtfError(f"a member ends at byte {end} of {len(self.target)}; the BTF is damaged")
        order = self.btf.byte_order
        low = offset % 8 if order == "little" else 8 * (end - start) - offset % 8 - width
        kept = int.from_bytes(self.target[start:end], order) & ~((1 << width) - 1 << low)
        self.target[start:end] = (kept | number << low).to_bytes(end - start, order)

    def bytes(self, start: int, data: bytes) -> None:
        if start + len(data) > len(self.target):
            raise BtfError(f"a member ends at byte {start + len(data)} of {len(self.target)}; the BTF is damaged")
        self.target[start : start + len(data)] = data

    def array(self, type: Array, value: Value, bit_offset: int, path: str) -> None:
        size = self.btf.size_of(type.element)
        is_text = _is_char(self.btf.resolve(type.element))
        if isinstance(value, str) and is_text:
            value = value.encode()
        if isinstance(value, bytes | bytearray) and size == 1:
            if len(value) > type.length:
                raise self.misfit(path, f"{len(value)} bytes of text do not fit an array of {type.length}")
            self.bytes(bit_offset // 8, bytes(value).ljust(type.length, b"\0"))
            return
        if not isinstance(value, list | tuple):
            raise self.misfit(path, f"{value!r} is not a list of {type.length} elements")
        if len(value) > type.length:
            raise self.misfit(path, f"{len(value)} elements do not fit an array of {type.length}")
        for index, item in enumerate(value):
            self.value(type.element, item, bit_offset + 8 * size * index, f"{path}[{index}]", 0)

    def composite(self, type_id: int, value: Value, bit_offset: int, path: str) -> None:
        if not isinstance(value, dict):
            raise self.misfit(path, f"{value!r} is not a dict of members")
        for name, item in value.items():
            field = self.btf.member(type_id, name) if isinstance(name, str) else None
            if field is None:
                names = ", ".join(member.name for member in self.btf.members(type_id) if member.name)
                raise self.misfit(path, f"there is no member {name!r}; there are {names or 'none'}")
            inside = f"{path}.{name}" if path else name
            self.value(field.type, item, bit_offset + field.bit_offset, inside, field.bit_size)
