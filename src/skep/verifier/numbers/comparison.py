"""What a conditional jump teaches: the two operands as they are when the condition holds.

Source of the rules: arithmetic on ranges. Only 32-bit comparisons speak of lower halves alone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final

from skep.verifier.numbers import tnum
from skep.verifier.numbers.scalar import U32, UNKNOWN, Facts, Scalar, made, settled, signed32, signed64
from skep.verifier.numbers.tnum import U64

_Range = tuple[int, int]
_Both = tuple[_Range, _Range]

#: Condition to the one that holds exactly when it does not. "nset" exists only here.
INVERSE: Final = {
    "eq": "ne",
    "ne": "eq",
    "lt": "ge",
    "ge": "lt",
    "gt": "le",
    "le": "gt",
    "slt": "sge",
    "sge": "slt",
    "sgt": "sle",
    "sle": "sgt",
    "set": "nset",
    "nset": "set",
}


@lru_cache(maxsize=1 << 15)
def when(condition: str, width: int, a: Scalar, b: Scalar) -> tuple[Scalar, Scalar]:
    """``a`` and ``b`` given that ``a condition b`` holds on ``width`` bits.

    Where it cannot hold, but ``decided`` does not see that, of one or both only the bits are left, as in Linux.
    """
    left, right = list(a.facts), list(b.facts)
    _refine(condition, width, left, right)
    return _made(left), _made(right)


@lru_cache(maxsize=1 << 10)
def when_same(condition: str, width: int, a: Scalar) -> Scalar:
    """``a`` given that ``a condition a`` holds, where both sides are one register.

    Linux narrows the one register as the left side and then again as the right, whatever the first left.
    """
    facts = list(a.facts)
    _refine(condition, width, facts, facts)
    return made(settled(_whole(facts)))


def _made(facts: list[int]) -> Scalar:
    return made(_whole(facts))


def _whole(facts: list[int]) -> Facts:
    value, mask, umin, umax, smin, smax, umin32, umax32, smin32, smax32 = facts
    return value, mask, umin, umax, smin, smax, umin32, umax32, smin32, smax32


#: Where the least number of each range lies in a scalar's facts; the greatest lies behind it.
_PLACES: Final = {"u64": 2, "s64": 4, "u32": 6, "s32": 8}
_VALUE: Final = 0
_MASK: Final = 1


def _refine(condition: str, width: int, a: list[int], b: list[int]) -> None:
    """Narrow the facts of both sides, which may be the same list, in place."""
    if condition == "eq":
        _make_equal(width, a, b)
    elif condition == "ne":
        _make_different(width, a, b)
    elif condition in ("set", "nset"):
        _narrow_bits(condition, width, a, b)
    elif condition in ("gt", "ge", "sgt", "sge"):
        _refine(condition.replace("g", "l"), width, b, a)
    else:
        low = _PLACES[("s" if condition.startswith("s") else "u") + str(width)]
        step = int(condition.endswith("t"))
        a[low + 1] = min(a[low + 1], b[low + 1] - step)
        b[low] = max(a[low] + step, b[low])


def _make_equal(width: int, a: list[int], b: list[int]) -> None:
    for low in (2, 4) if width == 64 else (6, 8):
        a[low] = b[low] = max(a[low], b[low])
        a[low + 1] = b[low + 1] = min(a[low + 1], b[low + 1])
    if width == 64:
        a[:2] = b[:2] = tnum.intersect((a[_VALUE], a[_MASK]), (b[_VALUE], b[_MASK]))
        return
    low_a, low_b = (tnum.truncate((side[_VALUE], side[_MASK]), 4) for side in (a, b))
    common = tnum.intersect(low_a, low_b)
    for side in (a, b):
        side[:2] = tnum.with_low_half((side[_VALUE], side[_MASK]), common)


def _make_different(width: int, a: list[int], b: list[int]) -> None:
    """Only the end of a range can be cut off, where the other side is one number."""
    limit = U64 if width == 64 else U32
    if b[_MASK] & limit:
        a, b = b, a
    if b[_MASK] & limit:
        return
    number = b[_VALUE] & limit
    signed = signed64(number) if width == 64 else signed32(number)
    for low, other in ((_PLACES[f"s{width}"], signed), (_PLACES[f"u{width}"], number)):
        if a[low] == other:
            a[low] += 1
        if a[low + 1] == other:
            a[low + 1] -= 1


def _narrow_bits(condition: str, width: int, a: list[int], b: list[int]) -> None:
    limit = U64 if width == 64 else U32
    if b[_MASK] & limit:
        a, b = b, a
    if b[_MASK] & limit:
        return
    tested = b[_VALUE] & limit
    if condition == "nset":
        # Linux forgets the ranges here, and finds again what the bits say.
        a[2:] = UNKNOWN.facts[2:]
        a[_VALUE] &= ~tested
        a[_MASK] &= ~tested
    elif tested & (tested - 1) == 0:
        a[_VALUE] |= tested
        a[_MASK] &= ~tested


@lru_cache(maxsize=1 << 15)
def decided(condition: str, width: int, a: Scalar, b: Scalar, by_bits: bool = True) -> bool | None:
    """Whether ``a condition b`` holds, where one look at bits and ranges says so; None where it does not.

    Linux asks this and no more: a way that turns out impossible only once everything known is put together is still
    followed, and what is wrong there is still refused. Before 6.17 it did not ask whether bits of two numbers
    disagree (not ``by_bits``).
    """
    if condition in ("ne", "nset"):
        opposite = decided(INVERSE[condition], width, a, b, by_bits)
        return None if opposite is None else not opposite
    limit = U64 if width == 64 else U32
    if condition == "set":
        if b.mask & limit:
            a, b = b, a
        if b.mask & limit:
            return None
        tested = b.value & limit
        return True if a.value & tested else False if not (a.value | a.mask) & tested else None
    if condition == "eq":
        if not (a.mask | b.mask) & limit:
            return not (a.value ^ b.value) & limit
        views = ("u64", "s64", "u32", "s32") if width == 64 else ("u32", "s32")
        apart = any(max(low) > min(high) for low, high in (_ends(view, a, b) for view in views))
        return False if apart or (by_bits and (a.value ^ b.value) & ~a.mask & ~b.mask & limit) else None
    if condition in ("gt", "ge", "sgt", "sge"):
        return decided(condition.replace("g", "l"), width, b, a)
    view = ("s" if condition.startswith("s") else "u") + str(width)
    (low_a, high_a), (low_b, high_b) = _range(a, view), _range(b, view)
    if condition.endswith("t"):
        return True if high_a < low_b else False if low_a >= high_b else None
    return True if high_a <= low_b else False if low_a > high_b else None


def _range(a: Scalar, view: str) -> _Range:
    return _VIEWS[view](a)


_VIEWS: Final[dict[str, Callable[[Scalar], _Range]]] = {
    "u64": lambda a: (a.umin, a.umax),
    "s64": lambda a: (a.smin, a.smax),
    "u32": lambda a: (a.umin32, a.umax32),
    "s32": lambda a: (a.smin32, a.smax32),
}


def _ends(view: str, a: Scalar, b: Scalar) -> _Both:
    """The two lower and the two upper ends of a range."""
    (low_a, high_a), (low_b, high_b) = _range(a, view), _range(b, view)
    return (low_a, low_b), (high_a, high_b)
