"""Abstract arithmetic and comparison lose no value: held against the executable meaning of each instruction."""

from __future__ import annotations

import operator
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from skep.verifier.numbers.arithmetic import (
    compute,
    constant_operand,
    low_half,
    sign_extended,
    zero_extended,
)
from skep.verifier.numbers.comparison import INVERSE, decided, when
from skep.verifier.numbers.scalar import U32, UNKNOWN, Scalar, constant, scalar, signed32, signed64
from skep.verifier.numbers.tnum import U64
from tests.verifier.strategies import known, numbers

CONCRETE: dict[str, Callable[[int, int, int], int]] = {
    "add": lambda a, b, width: a + b,
    "sub": lambda a, b, width: a - b,
    "mul": lambda a, b, width: a * b,
    "neg": lambda a, b, width: -a,
    "and": lambda a, b, width: a & b,
    "or": lambda a, b, width: a | b,
    "xor": lambda a, b, width: a ^ b,
    "lsh": lambda a, b, width: a << b % width,
    "rsh": lambda a, b, width: a >> b % width,
    "arsh": lambda a, b, width: (signed64(a) if width == 64 else signed32(a)) >> b % width,
    "div": lambda a, b, width: a // b if b else 0,
    "mod": lambda a, b, width: a % b if b else a,
}
CONDITIONS: dict[str, Callable[[int, int], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "set": lambda a, b: bool(a & b),
    "nset": lambda a, b: not a & b,
}


@settings(max_examples=300)
@given(known(), known())
def test_no_result_is_lost(left: tuple[Scalar, int], right: tuple[Scalar, int]) -> None:
    for operation, concrete in CONCRETE.items():
        for width, limit in ((32, U32), (64, U64)):
            result = concrete(left[1] & limit, right[1] & limit, width) & limit
            assert compute(operation, width, left[0], right[0]).holds(result), (operation, width)


@given(known(), st.sampled_from([1, 2, 4, 8]), st.sampled_from([32, 64]))
def test_extensions_lose_nothing(operand: tuple[Scalar, int], size: int, width: int) -> None:
    before, number = operand
    low = number & ((1 << 8 * size) - 1)
    assert zero_extended(before, size).holds(low)
    assert zero_extended(UNKNOWN, size).holds(low)
    assert low_half(before).holds(number & U32)
    if size * 8 < width:
        extended = low - (1 << 8 * size) if low >> (8 * size - 1) else low
        assert sign_extended(before, size, width).holds(extended & ((1 << width) - 1))


@settings(max_examples=300)
@given(known(), known())
def test_a_branch_keeps_every_pair_that_takes_it(left: tuple[Scalar, int], right: tuple[Scalar, int]) -> None:
    for condition in INVERSE:
        for width, limit, signed in ((32, U32, signed32), (64, U64, signed64)):
            a, b = left[1] & limit, right[1] & limit
            if condition in ("slt", "sle", "sgt", "sge"):
                holds = CONDITIONS[condition[1:]](signed(a), signed(b))
            else:
                holds = CONDITIONS[condition](a, b)
            after = when(condition if holds else INVERSE[condition], width, left[0], right[0])
            assert after[0].holds(left[1]), (condition, width)
            assert after[1].holds(right[1]), (condition, width)


@given(numbers, numbers)
def test_constants_decide_every_branch(a: int, b: int) -> None:
    for condition in INVERSE:
        for width in (32, 64):
            answers = [decided(c, width, constant(a), constant(b)) for c in (condition, INVERSE[condition])]
            assert sorted(map(str, answers)) == ["False", "True"]


def test_what_programs_rely_on() -> None:
    byte = zero_extended(UNKNOWN, 1)
    assert (compute("lsh", 64, byte, constant(2)).umax, compute("and", 64, UNKNOWN, constant(7)).umax) == (
        1020,
        7,
    )
    below = when("lt", 64, UNKNOWN, constant(64))
    assert (below[0].umin, below[0].umax, below[0].smax32) == (0, 63, 63)
    negative = when("sge", 32, low_half(UNKNOWN), constant(0))
    assert negative[0].umax == 0x7FFFFFFF
    doubled = compute("arsh", 64, compute("lsh", 64, scalar(s32=(-5, 9)) or byte, constant(32)), constant(32))
    assert (doubled.smin, doubled.smax) == (-5, 9)
    assert constant_operand(-1).value == U64
