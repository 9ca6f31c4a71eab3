"""What a conditional jump teaches: the two operands as they are when the condition holds.

Source of the rules: arithmetic on ranges. Only 32-bit comparisons speak of lower halves alone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from skep.verifier import tnum
from skep.verifier.scalar import U32, Scalar, scalar
from skep.verifier.tnum import U64

_Range = tuple[int, int]
_Both = tuple[_Range, _Range]

#: Condition to the one that holds exactly when it does not. "nset" exists only here.
INVERSE = {
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
def when(condition: str, width: int, a: Scalar, b: Scalar) -> tuple[Scalar, Scalar] | None:
    """``a`` and ``b`` given that ``a condition b`` holds on ``width`` bits; None if it cannot hold."""
    if condition == "eq":
        return _equal(a, b, width)
    if condition == "ne":
        return _different(a, b, width)
    if condition in ("set", "nset"):
        return _bits(condition, a, b, width)
    if condition in ("gt", "ge", "sgt", "sge"):
        swapped = when(condition.replace("g", "l"), width, b, a)
        return None if swapped is None else (swapped[1], swapped[0])
    strict = condition.endswith("t")
    view = ("s" if condition.startswith("s") else "u") + str(width)
    below, above = _below(_range(a, view), _range(b, view), strict)
    return _narrowed(a, b, view, below, above)


def _range(a: Scalar, view: str) -> _Range:
    return _VIEWS[view](a)


_VIEWS: dict[str, Callable[[Scalar], _Range]] = {
    "u64": lambda a: (a.umin, a.umax),
    "s64": lambda a: (a.smin, a.smax),
    "u32": lambda a: (a.umin32, a.umax32),
    "s32": lambda a: (a.smin32, a.smax32),
}


def _with(a: Scalar, **changed: _Range) -> Scalar | None:
    """``a`` with ranges replaced by narrower ones."""
    ranges = {view: changed.get(view, read(a)) for view, read in _VIEWS.items()}
    if any(low > high for low, high in ranges.values()):
        return None
    return scalar(a.bits, **ranges)


def _narrowed(a: Scalar, b: Scalar, view: str, of_a: _Range, of_b: _Range) -> tuple[Scalar, Scalar] | None:
    left, right = _with(a, **{view: of_a}), _with(b, **{view: of_b})
    return None if left is None or right is None else (left, right)


def _below(a: _Range, b: _Range, strict: bool) -> _Both:
    """Ranges of ``a`` and ``b`` given that ``a`` is below (or, not strict, at most) ``b``."""
    step = int(strict)
    return (a[0], min(a[1], b[1] - step)), (max(b[0], a[0] + step), b[1])


def _equal(a: Scalar, b: Scalar, width: int) -> tuple[Scalar, Scalar] | None:
    if width == 64:
        if (a.value ^ b.value) & ~a.mask & ~b.mask & U64:
            return None
        views = [_meet(read(a), read(b)) for read in _VIEWS.values()]
        same = None
        if all(low <= high for low, high in views):
            same = scalar(tnum.intersect(a.bits, b.bits), *views)
        return None if same is None else (same, same)
    low_a, low_b = tnum.truncate(a.bits, 4), tnum.truncate(b.bits, 4)
    if (low_a[0] ^ low_b[0]) & ~low_a[1] & ~low_b[1] & U32:
        return None
    u32, s32 = _meet((a.umin32, a.umax32), (b.umin32, b.umax32)), _meet((a.smin32, a.smax32), (b.smin32, b.smax32))
    if u32[0] > u32[1] or s32[0] > s32[1]:
        return None
    low = tnum.intersect(low_a, low_b)
    sides = [
        scalar(tnum.with_low_half(side.bits, low), (side.umin, side.umax), (side.smin, side.smax), u32, s32)
        for side in (a, b)
    ]
    left, right = sides
    return None if left is None or right is None else (left, right)


def _meet(a: _Range, b: _Range) -> _Range:
    return max(a[0], b[0]), min(a[1], b[1])


def _different(a: Scalar, b: Scalar, width: int) -> tuple[Scalar, Scalar] | None:
    left, right = _without(a, b, width), _without(b, a, width)
    return None if left is None or right is None else (left, right)


def _without(a: Scalar, b: Scalar, width: int) -> Scalar | None:
    """``a`` without the one number that ``b`` is: only the end of a range can be cut off."""
    views = ("u64", "s64") if width == 64 else ("u32", "s32")
    changed = {}
    for view in views:
        low, high = _range(a, view)
        other, same = _range(b, view)
        if other != same:
            return a
        changed[view] = (low + (low == other), high - (high == other))
    return _with(a, **changed)


def _bits(condition: str, a: Scalar, b: Scalar, width: int) -> tuple[Scalar, Scalar] | None:
    limit = U64 if width == 64 else U32
    tested = b.value & limit
    if b.mask & limit:
        # Some tested bit may be anything. Only what cannot be zero, or cannot be anything else, decides.
        common = tnum.bit_and(a.bits, b.bits)
        if condition == "set":
            return (a, b) if (common[0] | common[1]) & limit else None
        return None if common[0] & limit else (a, b)
    if condition == "nset":
        if a.value & tested:
            return None
        bits = a.value, a.mask & ~tested
    else:
        if not (a.value | a.mask) & tested:
            return None
        single = tested & (tested - 1) == 0
        bits = (a.value | tested, a.mask & ~tested) if single else a.bits
    left = scalar(bits, *(read(a) for read in _VIEWS.values()))
    return None if left is None else (left, b)


@lru_cache(maxsize=1 << 15)
def decided(condition: str, width: int, a: Scalar, b: Scalar) -> bool | None:
    """Whether ``a condition b`` holds, where one look at bits and ranges says so; None where it does not.

    Linux asks this and no more: a way that turns out impossible only once everything known is put together is still
    followed, and what is wrong there is still refused.
    """
    if condition in ("ne", "nset"):
        opposite = decided(INVERSE[condition], width, a, b)
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
        return False if apart or (a.value ^ b.value) & ~a.mask & ~b.mask & limit else None
    if condition in ("gt", "ge", "sgt", "sge"):
        return decided(condition.replace("g", "l"), width, b, a)
    view = ("s" if condition.startswith("s") else "u") + str(width)
    (low_a, high_a), (low_b, high_b) = _range(a, view), _range(b, view)
    if condition.endswith("t"):
        return True if high_a < low_b else False if low_a >= high_b else None
    return True if high_a <= low_b else False if low_a > high_b else None


def _ends(view: str, a: Scalar, b: Scalar) -> _Both:
    """The two lower and the two upper ends of a range."""
    (low_a, high_a), (low_b, high_b) = _range(a, view), _range(b, view)
    return (low_a, low_b), (high_a, high_b)
