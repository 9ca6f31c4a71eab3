"""Types that make no sense, and bytes that are no BTF, end in an error of ours and in nothing else."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from skep.btf import Btf, BtfBuilder, BtfExt, Type
from skep.btf.c_dump import dump_c
from skep.btf.values import decode, encode, from_text
from skep.errors import SkepError
from tests.btf.strategies import types

QUIET = settings(max_examples=120, deadline=2000, derandomize=True, database=None)
#: Values of every shape; few fit any type.
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.binary(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["", "a", "b", "first"]), inner),
    max_leaves=5,
)


def attempt(action: Callable[[], object]) -> None:
    """Do it; an error of ours is an answer too."""
    with suppress(SkepError):
        action()


@QUIET
@given(st.lists(types, min_size=1, max_size=8), st.binary(max_size=64), anything, st.text(max_size=6))
def test_types_at_random_are_used_or_refused(items: list[Type], data: bytes, value: object, text: str) -> None:
    builder = BtfBuilder()
    for item in items:
        builder.add(item, unique=True)
    btf = builder.build()
    attempt(lambda: dump_c(btf))
    for type_id in range(len(btf)):
        for action in (
            lambda: btf.align_of(type_id),  # noqa: B023
            lambda: btf.member(type_id, "b"),  # noqa: B023
            lambda: decode(btf, type_id, data),  # noqa: B023
            lambda: encode(btf, type_id, value) if btf.size_of(type_id) < 1 << 16 else None,  # noqa: B023
            lambda: from_text(btf, type_id, text),  # noqa: B023
        ):
            attempt(action)


@QUIET
@given(st.lists(types, max_size=6), st.lists(st.tuples(st.integers(0, 1 << 12), st.integers(0, 255)), max_size=6))
def test_other_bytes_are_read_or_refused(items: list[Type], changes: list[tuple[int, int]]) -> None:
    builder = BtfBuilder()
    for item in items:
        builder.add(item, unique=True)
    data = bytearray(builder.build().encode())
    for at, byte in changes:
        data[at % len(data)] = byte
    attempt(lambda: dump_c(Btf.parse(bytes(data))))


@QUIET
@given(st.binary(max_size=200), st.integers(0, 96))
def test_bytes_at_random_are_no_information_about_instructions(data: bytes, size: int) -> None:
    header = b"\x9f\xeb\1\0\x20\0\0\0" + b"".join((size * index % 64).to_bytes(4, "little") for index in range(6))
    attempt(lambda: BtfExt.parse(header + data, BtfBuilder().build()))
