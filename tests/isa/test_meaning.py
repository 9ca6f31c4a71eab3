"""The executable meanings, against rules written another way and against the RFC's corner cases."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skep.isa import BY_NAME
from skep.isa.meaning import Alu, Atomic, Branch, Load, Store, Swap, immediate_operand, signed

MASK32 = (1 << 32) - 1
MASK64 = (1 << 64) - 1
INT_MIN64 = 1 << 63
INT_MIN32 = 1 << 31

edges = st.sampled_from((0, 1, 2, 31, 32, 63, 64, 0x7FFFFFFF, INT_MIN32, MASK32, 1 << 32, INT_MIN64, MASK64))
registers = st.one_of(edges, st.integers(0, MASK64))


def compute(name: str, dst: int, operand: int) -> int:
    meaning = BY_NAME[name].meaning
    assert isinstance(meaning, Alu)
    return meaning.compute(dst, operand)


def as_signed(value: int, width: int) -> int:
    """Two's complement by way of the struct module, to differ from the code under test."""
    small, large = ("<I", "<i") if width == 32 else ("<Q", "<q")
    number: int = struct.unpack(large, struct.pack(small, value & (MASK32 if width == 32 else MASK64)))[0]
    return number


@pytest.mark.parametrize("width", [32, 64])
@given(dst=registers, src=registers)
def test_signed_division_truncates_and_remainder_follows_the_dividend(width: int, dst: int, src: int) -> None:
    mask = (1 << width) - 1
    a, b = as_signed(dst, width), as_signed(src, width)
    quotient, remainder = compute(f"sdiv{width}_reg", dst, src), compute(f"smod{width}_reg", dst, src)
    if b == 0:
        assert (quotient, remainder) == (0, dst & mask)
        return
    assert (as_signed(quotient, width) * b + as_signed(remainder, width) - a) & mask == 0
    assert abs(as_signed(remainder, width)) < abs(b)
    assert remainder == 0 or (as_signed(remainder, width) < 0) == (a < 0)


@pytest.mark.parametrize("width", [32, 64])
@given(dst=registers, src=registers)
def test_unsigned_division(width: int, dst: int, src: int) -> None:
    mask = (1 << width) - 1
    quotient, remainder = compute(f"div{width}_reg", dst, src), compute(f"mod{width}_reg", dst, src)
    if src & mask == 0:
        assert (quotient, remainder) == (0, dst & mask)
    else:
        assert quotient * (src & mask) + remainder == dst & mask
        assert remainder < src & mask


@given(dst=registers, src=registers)
def test_operations_on_32_bits_see_and_leave_only_the_low_half(dst: int, src: int) -> None:
    for row in BY_NAME.values():
        if isinstance(row.meaning, Alu) and row.meaning.width == 32:
            result = row.meaning.compute(dst, src)
            assert result <= MASK32
            assert result == row.meaning.compute(dst & MASK32, src & MASK32), row.name


@given(dst=registers, src=registers)
def test_immediate_and_register_forms_mean_the_same(dst: int, src: int) -> None:
    for row in BY_NAME.values():
        if isinstance(row.meaning, Alu) and row.operand == "imm":
            other = BY_NAME[row.name.replace("_imm", "_reg")].meaning
            assert isinstance(other, Alu)
            assert row.meaning.compute(dst, src) == other.compute(dst, src)


@pytest.mark.parametrize(
    ("name", "dst", "operand", "result"),
    [
        ("sdiv64_reg", INT_MIN64, MASK64, INT_MIN64),
        ("smod64_reg", INT_MIN64, MASK64, 0),
        ("sdiv32_reg", INT_MIN32, MASK32, INT_MIN32),
        ("smod32_reg", INT_MIN32, MASK32, 0),
        ("lsh64_imm", 1, 64, 1),
        ("lsh32_imm", 1, 33, 2),
        ("rsh64_reg", INT_MIN64, 127, 1),
        ("arsh32_imm", INT_MIN32, 31, MASK32),
        ("arsh64_imm", INT_MIN64, 63, MASK64),
        ("mov32_imm", MASK64, immediate_operand(-1), MASK32),
        ("mov64_imm", 0, immediate_operand(-1), MASK64),
        ("div64_imm", MASK64, immediate_operand(-1), 1),
        ("neg32", 1, 0, MASK32),
        ("neg64", INT_MIN64, 0, INT_MIN64),
        ("movsx8_64", 0, 0x80, MASK64 - 0x7F),
        ("movsx8_32", 0, 0x80, MASK32 - 0x7F),
        ("movsx16_32", 0, 0x17FFF, 0x7FFF),
        ("movsx32_64", 0, INT_MIN32, MASK64 - 0x7FFFFFFF),
        ("sub64_reg", 0, 1, MASK64),
        ("mul64_reg", MASK64, MASK64, 1),
    ],
)
def test_corner_cases(name: str, dst: int, operand: int, result: int) -> None:
    assert compute(name, dst, operand) == result


@given(registers, st.sampled_from((16, 32, 64)))
def test_byte_swaps(value: int, bits: int) -> None:
    low = value & ((1 << bits) - 1)
    turned = int.from_bytes(low.to_bytes(8, "little")[: bits // 8], "big")

    def swap(name: str, byte_order: str) -> int:
        meaning = BY_NAME[f"{name}{bits}"].meaning
        assert isinstance(meaning, Swap)
        return meaning.compute(value, byte_order)

    assert swap("bswap", "little") == swap("bswap", "big") == turned
    assert swap("be", "little") == swap("le", "big") == turned
    assert swap("be", "big") == swap("le", "little") == low


@pytest.mark.parametrize("width", [32, 64])
@given(dst=registers, src=registers)
def test_conditions(width: int, dst: int, src: int) -> None:
    mask = (1 << width) - 1
    a, b, c, d = dst & mask, src & mask, as_signed(dst, width), as_signed(src, width)
    truth = {
        "eq": a == b,
        "ne": a != b,
        "gt": a > b,
        "ge": a >= b,
        "lt": a < b,
        "le": a <= b,
        "sgt": c > d,
        "sge": c >= d,
        "slt": c < d,
        "sle": c <= d,
        "set": a & b != 0,
    }
    for name, expected in truth.items():
        for form in ("imm", "reg"):
            meaning = BY_NAME[f"j{name}{width}_{form}"].meaning
            assert isinstance(meaning, Branch)
            assert meaning.taken(dst, src) is expected
            if meaning.inverse is not None:
                assert truth[meaning.inverse] is not expected


@given(registers)
def test_loads_extend_and_stores_truncate(value: int) -> None:
    for bits in (8, 16, 32, 64):
        stored = BY_NAME[f"stx_u{bits}"].meaning
        loaded = BY_NAME[f"ldx_u{bits}"].meaning
        assert isinstance(stored, Store)
        assert isinstance(loaded, Load)
        assert loaded.extend(stored.truncate(value)) == value & ((1 << bits) - 1)
        if bits < 64:
            sign_extending = BY_NAME[f"ldx_s{bits}"].meaning
            assert isinstance(sign_extending, Load)
            assert as_signed(sign_extending.extend(stored.truncate(value)), 64) == signed(value, bits)


@given(registers, registers, registers)
def test_atomics_update_memory_and_say_where_the_old_value_goes(old: int, source: int, r0: int) -> None:
    for bits in (32, 64):
        mask = (1 << bits) - 1
        expected = {
            "add": old + source,
            "or": old | source,
            "and": old & source,
            "xor": old ^ source,
        }
        for name, result in expected.items():
            for prefix, register in (("", None), ("fetch_", "src")):
                meaning = BY_NAME[f"atomic{bits}_{prefix}{name}"].meaning
                assert isinstance(meaning, Atomic)
                assert meaning.update(old, source, r0) == result & mask
                assert meaning.result == register
        exchange = BY_NAME[f"atomic{bits}_xchg"].meaning
        compare = BY_NAME[f"atomic{bits}_cmpxchg"].meaning
        assert isinstance(exchange, Atomic)
        assert isinstance(compare, Atomic)
        assert (exchange.update(old, source, r0), exchange.result) == (source & mask, "src")
        assert compare.update(old, source, old) == source & mask
        assert compare.update(old, source, old ^ 1) == old & mask
        assert compare.result == "r0"
