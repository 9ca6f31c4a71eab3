"""Bytes become Python values through a type, and values become those bytes again."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skep.btf import Btf, BtfBuilder, Forward, Int, Member, Pointer, Struct, Union
from skep.btf.values import Address, Value, decode, encode, from_text
from skep.errors import BtfError, RequestError
from tests.btf.strategies import layouts, values_of


def part(given: Value, found: Value) -> None:
    """Every value that was given is found; a union has more members than the one that was set."""
    if isinstance(given, dict):
        assert isinstance(found, dict)
        for name, value in given.items():
            part(value, found[name])
    elif isinstance(given, list):
        assert len(given) == len(found)
        for one, other in zip(given, found, strict=True):
            part(one, other)
    else:
        assert found == given


@settings(max_examples=200, deadline=None)
@given(st.data(), layouts())
def test_what_is_written_is_read_again(data: st.DataObject, layout: tuple[Btf, int]) -> None:
    btf, type_id = layout
    value = data.draw(values_of(btf, type_id))
    encoded = encode(btf, type_id, value)
    assert len(encoded) == btf.size_of(type_id)
    part(value, decode(btf, type_id, encoded))


@settings(max_examples=100, deadline=None)
@given(st.data(), layouts())
def test_a_part_leaves_the_rest_alone(data: st.DataObject, layout: tuple[Btf, int]) -> None:
    btf, type_id = layout
    old = data.draw(st.binary(min_size=btf.size_of(type_id), max_size=btf.size_of(type_id)))
    assert encode(btf, type_id, {}, old) == old


@pytest.fixture
def builder() -> BtfBuilder:
    return BtfBuilder()


def test_text_is_text_and_other_bytes_are_numbers(builder: BtfBuilder) -> None:
    char = builder.integer("char", 1, signed=True)
    name, flags = builder.array(char, 4), builder.array(builder.integer("unsigned char", 1), 4)
    btf = builder.build()
    assert decode(btf, name, b"eth0") == "eth0"
    assert decode(btf, name, b"lo\0\0") == "lo"
    assert decode(btf, name, bytes(4)) == ""
    assert decode(btf, name, b"lo\0x") == [108, 111, 0, 120]
    assert decode(btf, name, b"\xff\xfe\0\0") == [-1, -2, 0, 0]
    assert decode(btf, flags, b"eth0") == [101, 116, 104, 48]
    assert encode(btf, name, "lo") == b"lo\0\0"
    assert encode(btf, name, b"full") == b"full"
    assert encode(btf, char, "x") == b"x"


def test_enumerations_have_names_and_pointers_are_hexadecimal(builder: BtfBuilder) -> None:
    color = builder.enum("color", {"RED": 0, "BLUE": 7})
    btf_id = builder.pointer()
    btf = builder.build()
    assert decode(btf, color, b"\7\0\0\0") == "BLUE"
    assert decode(btf, color, b"\5\0\0\0") == 5
    assert encode(btf, color, 5) == b"\5\0\0\0"
    address = decode(btf, btf_id, b"\0\x10\0\0\0\0\0\0")
    assert isinstance(address, Address)
    assert str(address) == repr(address) == "0x1000"


@pytest.mark.parametrize("order", ["little", "big"])
def test_bit_fields_take_their_own_bits(order: str) -> None:
    builder = BtfBuilder(order)  # type: ignore[arg-type]
    u32 = builder.integer("unsigned int", 4)
    s32 = builder.integer("int", 4, signed=True)
    struct = builder.struct("s", [("a", u32, 3), ("b", s32, 5), ("c", u32, 24)])
    btf = builder.build()
    encoded = encode(btf, struct, {"a": 5, "b": -2, "c": 0x123456})
    word = int.from_bytes(encoded, order)  # type: ignore[arg-type]
    if order == "little":
        assert word == 5 | (-2 & 31) << 3 | 0x123456 << 8
    else:
        assert word == 5 << 29 | (-2 & 31) << 24 | 0x123456
    assert decode(btf, struct, encoded) == {"a": 5, "b": -2, "c": 0x123456}


def test_members_of_anonymous_unions_are_the_structs_own(builder: BtfBuilder) -> None:
    u32 = builder.integer("unsigned int", 4)
    u16 = builder.integer("unsigned short", 2)
    inner = builder.add(Union("", 4, (Member("word", u32, 0), Member("half", u16, 0))))
    outer = builder.add(Struct("s", 8, (Member("first", u32, 0), Member("", inner, 32))))
    btf = builder.build()
    assert decode(btf, outer, b"\1\0\0\0\2\0\1\0") == {"first": 1, "word": 0x10002, "half": 2}
    assert encode(btf, outer, {"half": 3}) == b"\0\0\0\0\3\0\0\0"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("12", 12), ("0x1f", 31), ("-3", -3), ("0b11", 3)],
)
def test_numbers_as_people_write_them(text: str, expected: int) -> None:
    builder = BtfBuilder()
    number = builder.integer("int", 4, signed=True)
    assert from_text(builder.build(), number, text) == expected


def test_other_values_as_people_write_them(builder: BtfBuilder) -> None:
    boolean = builder.integer("_Bool", 1, is_bool=True)
    color = builder.enum("color", {"RED": 0})
    name = builder.array(builder.integer("char", 1, signed=True), 8)
    pair = builder.array(boolean, 2)
    btf = builder.build()
    assert from_text(btf, boolean, "True") is True
    assert from_text(btf, color, "RED") == "RED"
    assert from_text(btf, color, "0") == 0
    assert from_text(btf, name, "12") == "12"
    assert from_text(btf, pair, "[1, 0]") == [1, 0]
    with pytest.raises(RequestError, match="'GREEN' is not one of RED or a number"):
        from_text(btf, color, "GREEN")


def test_too_few_bytes_are_refused(builder: BtfBuilder) -> None:
    u32 = builder.integer("unsigned int", 4)
    with pytest.raises(BtfError, match="a value of 4 bytes cannot be read from 3"):
        decode(builder.build(), u32, b"abc")


def test_damaged_types_neither_hang_nor_fill_the_memory(builder: BtfBuilder) -> None:
    empty = builder.add(Struct("empty", 0))
    endless = builder.array(empty, 0xFFFFFFFF)
    inside = builder.add(Struct("inside", 4, (Member("again", builder.last + 1, 0),)))
    wide = builder.add(
        Struct("wide", 4, tuple(Member(f"m{n}", builder.last + 1 if n else inside, 0) for n in range(9)))
    )
    outside = builder.add(Struct("outside", 4, (Member("far", builder.add(Int("int", 4, 32)), 1 << 20),)))
    forward = builder.pointer(builder.add(Forward("f")))
    btf = builder.build()
    assert decode(btf, endless, b"") == []
    for type_id in (inside, wide):
        with pytest.raises(BtfError, match="contains itself"):
            decode(btf, type_id, bytes(4))
    with pytest.raises(BtfError, match="a member ends at byte"):
        decode(btf, outside, bytes(4))
    with pytest.raises(BtfError, match="a member ends at byte"):
        encode(btf, outside, {"far": 1})
    assert btf[forward] == Pointer(target=forward - 1)
    with pytest.raises(BtfError, match="has no size"):
        decode(btf, forward - 1, bytes(8))
