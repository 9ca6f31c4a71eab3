"""Structures have C layout, and their instances read and write real memory."""

from __future__ import annotations

import ctypes
import struct as packing

import pytest

from skep.errors import LanguageError
from skep.lang import (
    Array,
    Ptr,
    address_of,
    align_of,
    array_of,
    i8,
    i32,
    length,
    make_struct,
    offset_of,
    size_of,
    struct,
    to_bytes,
    u8,
    u16,
    u32,
    u64,
    view,
)


@struct
class Inner:
    kind: u8
    weight: u32


@struct
class Outer:
    flag: bool
    inner: Inner
    tags: Array[u16] = length(3)
    grid: Array[Array[u8]] = length(2, 3)
    inners: Array[Inner] = length(2)
    next: Ptr[Outer]
    small: i8


@struct(packed=True)
class Ethernet:
    destination: Array[u8] = length(6)
    source: Array[u8] = length(6)
    protocol: u16
    tag: u32


@struct(align=64)
class Line:
    value: u32


class CInner(ctypes.Structure):
    _fields_ = (("kind", ctypes.c_uint8), ("weight", ctypes.c_uint32))


class COuter(ctypes.Structure):
    _fields_ = (
        ("flag", ctypes.c_bool),
        ("inner", CInner),
        ("tags", ctypes.c_uint16 * 3),
        ("grid", ctypes.c_uint8 * 3 * 2),
        ("inners", CInner * 2),
        ("next", ctypes.c_void_p),
        ("small", ctypes.c_int8),
    )


def test_layout_is_that_of_c() -> None:
    for name, *_ in COuter._fields_:
        assert offset_of(Outer, name) == getattr(COuter, name).offset, name
    assert size_of(Outer) == ctypes.sizeof(COuter)
    assert align_of(Outer) == 8
    assert offset_of(Outer, "inner.weight") == 8


def test_packed_and_aligned_structures() -> None:
    assert (size_of(Ethernet), align_of(Ethernet), offset_of(Ethernet, "tag")) == (18, 1, 14)
    assert (size_of(Line), align_of(Line)) == (64, 64)


def test_an_instance_is_a_view_of_zeroed_memory() -> None:
    outer = Outer()
    assert to_bytes(outer) == bytes(size_of(Outer))
    outer.inner.weight = 0x01020304
    outer.tags[2] = 7
    outer.grid[1][2] = 9
    outer.inners[1].kind = 255
    outer.small = -3
    raw = to_bytes(outer)
    assert packing.unpack_from("=I", raw, 8)[0] == 0x01020304
    assert raw[offset_of(Outer, "tags") + 4] == 7
    assert raw[offset_of(Outer, "grid") + 5] == 9
    assert outer.inners[1].kind == 255
    assert outer.small == -3
    assert outer.flag is False
    again = view(Outer, int(address_of(outer)), outer)
    assert again == outer
    again.inner.weight += 1
    assert outer.inner.weight == 0x01020305


def test_a_structure_from_a_table() -> None:
    element = make_struct("Element", {"key": array_of(u8, 5), "value": u64, "count": i32})
    assert offset_of(element, "value") == 8
    made = element(value=3)
    made.key = b"hello"
    assert bytes(made.key) == b"hello"
    assert made.value == 3


def test_integers_wrap_as_types_do() -> None:
    assert u8(256 + 3) == 3
    assert i8(200) == -56
    assert u32(-1) == 0xFFFFFFFF


@pytest.mark.parametrize(
    ("annotations", "problem"),
    [
        ({"x": int}, "int has no width"),
        ({"x": "Missing"}, "cannot be read"),
        ({"x": 5}, "is not a type"),
        ({"x": float}, "is not a type"),
        ({}, "has no fields"),
    ],
)
def test_what_is_no_layout_is_refused(annotations: dict[str, object], problem: str) -> None:
    with pytest.raises(LanguageError, match=problem):
        size_of(make_struct("Bad", annotations))


def test_a_structure_cannot_hold_itself() -> None:
    @struct
    class Loop:
        inner: Loop

    with pytest.raises(LanguageError, match="holds itself"):
        size_of(Loop)


def test_an_unknown_field_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no field missing"):
        _ = Inner().missing  # type: ignore[attr-defined]
