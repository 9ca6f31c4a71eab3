"""Bytes to instructions and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skep.errors import EncodingError
from skep.isa import Instruction, check, decode, encode, opcodes, problems, wide_immediate

from .strategies import programs, slots

byte_orders = st.sampled_from(("little", "big"))


@given(st.lists(slots), byte_orders)
def test_any_slots_survive_encoding(program: list[Instruction], byte_order: str) -> None:
    assert decode(encode(program, byte_order), byte_order) == tuple(program)


@given(st.binary(max_size=64), byte_orders)
def test_any_whole_slots_decode_and_encode_to_the_same_bytes(data: bytes, byte_order: str) -> None:
    if len(data) % 8:
        with pytest.raises(EncodingError, match="left over"):
            decode(data, byte_order)
    else:
        assert encode(decode(data, byte_order), byte_order) == data


@given(st.lists(slots, max_size=6))
def test_strict_decoding_refuses_exactly_what_has_a_problem(program: list[Instruction]) -> None:
    found = list(problems(tuple(program)))
    data = encode(program)
    if not found:
        check(decode(data, strict=True))
        return
    with pytest.raises(EncodingError) as caught:
        decode(data, strict=True)
    assert str(caught.value) == str(found[0])


def test_fields_lie_where_the_rfc_says() -> None:
    add = Instruction(opcodes.ALU64 | opcodes.ADD | opcodes.X, dst=1, src=2)
    load = Instruction(opcodes.LDX | opcodes.MEM | opcodes.W, dst=3, src=10, offset=-4, imm=0x11223344)
    assert encode([add]) == bytes.fromhex("0f21000000000000")
    assert encode([add], "big") == bytes.fromhex("0f12000000000000")
    assert encode([load]) == bytes.fromhex("61a3fcff44332211")
    assert encode([load], "big") == bytes.fromhex("613afffc11223344")


def test_a_wide_immediate_is_put_together_from_two_slots() -> None:
    low, high = decode(bytes.fromhex("18010000887766550000000044332211"))
    assert low.is_wide
    assert wide_immediate(low, high) == 0x1122334455667788


@pytest.mark.parametrize(
    ("instruction", "message"),
    [
        (Instruction(256), "opcode 256 does not fit in 8 bits"),
        (Instruction(7, dst=16), "destination register 16 does not fit"),
        (Instruction(7, src=-1), "source register -1 does not fit"),
        (Instruction(7, offset=0x8000), "offset 32768 does not fit"),
        (Instruction(7, imm=1 << 31), "immediate 2147483648 does not fit"),
    ],
)
def test_values_too_large_for_their_field_are_refused(instruction: Instruction, message: str) -> None:
    with pytest.raises(EncodingError, match=message) as caught:
        encode([Instruction(0x95), instruction])
    assert caught.value.instruction == 1


def test_an_unknown_byte_order_is_refused() -> None:
    with pytest.raises(EncodingError, match="middle"):
        decode(b"", "middle")


@given(programs)
def test_valid_programs_have_no_problem(program: tuple[Instruction, ...]) -> None:
    assert list(problems(program)) == []


@pytest.mark.parametrize(
    ("data", "slot", "message"),
    [
        ("ff00000000000000", 0, "no instruction has opcode 0xff"),
        ("950000000000000095000100000000000000000000000000", 1, "exit reserves its offset, which is 1; it must be 0"),
        ("0f21000001000000", 0, "add64_reg reserves its immediate, which is 1"),
        ("0fc1000000000000", 0, "no register r12"),
        ("db21000055000000", 0, "no form with immediate 0x55; there are 0x0, 0x1, 0x40"),
        ("bf21030000000000", 0, "no form with offset 3; there are 0, 1, 8, 16, 32"),
        ("1871000000000000", 0, "no form with source register 7"),
        ("1801000000000000", 0, "takes two slots, but the program ends"),
        ("18010000000000000100000000000000", 0, "second slot of lddw must be zero"),
        ("18110000030000000000000001000000", 0, "lddw_map reserves the immediate of its second slot"),
        ("0000000000000000", 0, "only the second half"),
        ("d700000011000000", 0, "no form with immediate 0x11; there are 0x10, 0x20, 0x40"),
    ],
)
def test_reserved_fields_and_unknown_forms_are_named(data: str, slot: int, message: str) -> None:
    with pytest.raises(EncodingError, match=message) as caught:
        decode(bytes.fromhex(data), strict=True)
    assert caught.value.instruction == slot


def test_lenient_decoding_takes_what_strict_refuses() -> None:
    assert decode(b"\xff" * 8)[0].opcode == 0xFF
