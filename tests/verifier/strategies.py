"""Values for the verifier's property tests: tracked numbers and scalars, each with a number that it stands for."""

from __future__ import annotations

from hypothesis import strategies as st

from skep.verifier.numbers.scalar import S32_MIN, S64_MIN, U32, Scalar, scalar, signed32, signed64
from skep.verifier.numbers.tnum import U64, Tnum

EDGES = [0, 1, 2, 7, 0x7FFFFFFF, 0x80000000, U32, 1 << 32, (1 << 32) + 5, (1 << 63) - 1, 1 << 63, U64 - 1, U64]
numbers = st.one_of(
    st.sampled_from(EDGES),
    st.integers(0, U64),
    st.integers(0, 300),
    st.integers(-300, -1).map(lambda n: n & U64),
)


@st.composite
def tracked(draw: st.DrawFn) -> tuple[Tnum, int]:
    """A tnum and one of its numbers."""
    number, mask = draw(numbers), draw(st.one_of(numbers, st.just(0), st.just(U64)))
    return (number & ~mask & U64, mask), number


@st.composite
def known(draw: st.DrawFn) -> tuple[Scalar, int]:
    """A scalar made of facts that are true of a number, and that number."""
    (bits, number) = draw(tracked())
    low = number & U32

    def around(value: int, least: int, width: int) -> tuple[int, int]:
        slack = st.one_of(st.just(0), st.integers(0, 100), st.integers(0, 1 << width))
        return max(least, value - draw(slack)), min(least + (1 << width) - 1, value + draw(slack))

    made = scalar(
        bits,
        around(number, 0, 64),
        around(signed64(number), S64_MIN, 64),
        around(low, 0, 32),
        around(signed32(low), S32_MIN, 32),
    )
    assert made is not None
    return made, number
