"""Scalars and tnums lose no value: whatever satisfies the facts is still there after they are tightened."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skep.verifier.numbers import tnum
from skep.verifier.numbers.scalar import U32, Scalar, constant, made, scalar, signed32, signed64
from skep.verifier.numbers.tnum import U64, Tnum
from tests.verifier.strategies import known, numbers, tracked

shifts = st.integers(0, 63)


BINARY: list[tuple[Callable[[Tnum, Tnum], Tnum], Callable[[int, int], int]]] = [
    (tnum.add, lambda a, b: a + b),
    (tnum.subtract, lambda a, b: a - b),
    (tnum.multiply, lambda a, b: a * b),
    (tnum.bit_and, lambda a, b: a & b),
    (tnum.bit_or, lambda a, b: a | b),
    (tnum.bit_xor, lambda a, b: a ^ b),
]


@pytest.mark.parametrize(("abstract", "concrete"), BINARY)
@given(tracked(), tracked())
def test_tnum_arithmetic_keeps_every_result(
    abstract: Callable[[Tnum, Tnum], Tnum],
    concrete: Callable[[int, int], int],
    left: tuple[Tnum, int],
    right: tuple[Tnum, int],
) -> None:
    result = abstract(left[0], right[0])
    assert not result[0] & result[1]
    assert tnum.contains(result, concrete(left[1], right[1]) & U64)


@given(tracked(), shifts)
def test_tnum_shifts_keep_every_result(operand: tuple[Tnum, int], amount: int) -> None:
    bits, number = operand
    assert tnum.contains(tnum.shift_left(bits, amount), number << amount & U64)
    assert tnum.contains(tnum.shift_right(bits, amount), number >> amount)
    assert tnum.contains(tnum.shift_right_signed(bits, amount), signed64(number) >> amount & U64)
    narrow = tnum.shift_right_signed(tnum.truncate(bits, 4), amount % 32, 32)
    assert tnum.contains(narrow, signed32(number & U32) >> amount % 32 & U32)


@given(tracked(), tracked(), st.sampled_from([1, 2, 4, 8]))
def test_tnum_set_operations(left: tuple[Tnum, int], right: tuple[Tnum, int], size: int) -> None:
    both = tnum.union(left[0], right[0])
    assert tnum.contains(both, left[1])
    assert tnum.contains(both, right[1])
    assert tnum.within(left[0], both)
    assert tnum.intersect(left[0], both) == left[0]
    low = (1 << 8 * size) - 1
    assert tnum.contains(tnum.truncate(left[0], size), left[1] & low)


@given(numbers, numbers, numbers)
def test_a_range_as_tnum_holds_the_range(a: int, b: int, c: int) -> None:
    low, middle, high = sorted([a, b, c])
    assert tnum.contains(tnum.between(low, high), middle)


@given(known())
def test_tightening_loses_no_number(fact: tuple[Scalar, int]) -> None:
    made, number = fact
    assert made.holds(number)


@given(known())
def test_scalars_are_interned_and_tightening_again_loses_no_number(fact: tuple[Scalar, int]) -> None:
    before, number = fact
    assert made(before.facts).holds(number)
    assert made(before.facts) is made(before.facts)


@given(numbers)
def test_a_constant_is_what_all_views_say_it_is(number: int) -> None:
    assert constant(number) is scalar(tnum.constant(number))
    assert constant(number) is scalar(u64=(number, number))
    assert constant(number).is_constant


def test_facts_that_contradict_each_other_leave_nothing() -> None:
    assert scalar(tnum.constant(1 << 40), u64=(4, 9)) is None


def test_each_view_narrows_the_others() -> None:
    small = scalar(u64=(0, 255))
    assert small is not None
    assert (small.mask, small.smin, small.smax, small.umax32, small.smax32) == (255, 0, 255, 255, 255)
    negative = scalar(s64=(-8, -1))
    assert negative is not None
    assert (negative.umin, negative.smin32, negative.smax32) == (U64 - 7, -8, -1)
    across = scalar(s64=(-1, 5))
    assert across is not None
    assert (across.smin32, across.smax32) == (-1, 5)
