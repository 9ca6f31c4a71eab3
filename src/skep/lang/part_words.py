"""Atomic operations on 8 and 16 bits for a target that has them for 32 and 64 only.

The 32-bit word around the value is exchanged with a compare-exchange, in a loop until nobody came between. The word
is aligned, so it lies in one piece of memory with the value; the bytes beside the value are written back as they
were. Little-endian, as the ``bpf`` target is made here.
"""

from __future__ import annotations

from dataclasses import dataclass

from skep.lang.builder import Builder
from skep.lang.types import IntType

#: What an update makes of the old value, by LLVM's word for it: an instruction, or a comparison that keeps the old.
_MADE = {"add": "add", "sub": "sub", "and": "and", "or": "or", "xor": "xor"}
KEEPS_OLD = {"umin": "ule", "min": "sle", "umax": "uge", "max": "sge"}


@dataclass(frozen=True, slots=True)
class _Part:
    """Where a narrow value lies: in the word at ``word``, ``shift`` bits up, under ``mask``."""

    kind: IntType
    word: str
    shift: str
    mask: str

    def taken(self, builder: Builder, whole: str) -> str:
        moved = builder.assign(f"lshr i32 {whole}, {self.shift}")
        return builder.assign(f"trunc i32 {moved} to {self.kind.llvm}")

    def put(self, builder: Builder, whole: str, value: str) -> str:
        wide = builder.assign(f"zext {self.kind.llvm} {value} to i32")
        moved = builder.assign(f"shl i32 {wide}, {self.shift}")
        others = builder.assign(f"xor i32 {self.mask}, -1")
        kept = builder.assign(f"and i32 {whole}, {others}")
        return builder.assign(f"or i32 {kept}, {moved}")


def _part(builder: Builder, kind: IntType, pointer: str) -> _Part:
    address = builder.assign(f"ptrtoint ptr {pointer} to i64")
    low = builder.assign(f"and i64 {address}, 3")
    back = builder.assign(f"sub i64 0, {low}")
    word = builder.assign(f"getelementptr i8, ptr {pointer}, i64 {back}")
    shift = builder.assign(f"shl i32 {builder.assign(f'trunc i64 {low} to i32')}, 3")
    mask = builder.assign(f"shl i32 {(1 << kind.bits) - 1}, {shift}")
    return _Part(kind, word, shift, mask)


def _new(builder: Builder, name: str, kind: IntType, old: str, value: str) -> str:
    if name == "xchg":
        return value
    if name in KEEPS_OLD:
        keeps = builder.assign(f"icmp {KEEPS_OLD[name]} {kind.llvm} {old}, {value}")
        return builder.assign(f"select i1 {keeps}, {kind.llvm} {old}, {kind.llvm} {value}")
    return builder.assign(f"{_MADE[name]} {kind.llvm} {old}, {value}")


def update(builder: Builder, name: str, kind: IntType, pointer: str, value: str, order: tuple[str, str]) -> str:
    """What was at ``pointer`` before ``name`` made something of it and ``value``; ``order``: success, failure."""
    part = _part(builder, kind, pointer)
    head, end = builder.label(), builder.label()
    first = builder.assign(f"load atomic i32, ptr {part.word} monotonic, align 4")
    before, seen = builder.block, builder.name()
    builder.jump(head)
    builder.start(head)
    whole = builder.assign(f"phi i32 [ {first}, %{before} ], [ {seen}, %{head} ]")
    old = part.taken(builder, whole)
    made = part.put(builder, whole, _new(builder, name, kind, old, value))
    done = _exchange(builder, part.word, whole, made, order, seen)
    builder.branch(done, end, head)
    builder.start(end)
    return old


def compare_exchange(
    builder: Builder, kind: IntType, pointer: str, expected: str, new: str, order: tuple[str, str]
) -> str:
    """What was at ``pointer``; if that was ``expected``, it is ``new`` now."""
    part = _part(builder, kind, pointer)
    head, attempt, end = builder.label(), builder.label(), builder.label()
    # A comparison that fails on this load has to keep its order too.
    first = builder.assign(f"load atomic i32, ptr {part.word} {_load_order(order[1])}, align 4")
    before, seen = builder.block, builder.name()
    builder.jump(head)
    builder.start(head)
    whole = builder.assign(f"phi i32 [ {first}, %{before} ], [ {seen}, %{attempt} ]")
    old = part.taken(builder, whole)
    matches = builder.assign(f"icmp eq {kind.llvm} {old}, {expected}")
    builder.branch(matches, attempt, end)
    builder.start(attempt)
    done = _exchange(builder, part.word, whole, part.put(builder, whole, new), order, seen)
    builder.branch(done, end, head)
    builder.start(end)
    return old


def _load_order(failure: str) -> str:
    return "monotonic" if failure == "monotonic" else "acquire"


def _exchange(builder: Builder, word: str, old: str, new: str, order: tuple[str, str], seen: str) -> str:
    pair = builder.assign(f"cmpxchg ptr {word}, i32 {old}, i32 {new} {order[0]} {order[1]}, align 4")
    builder.line(f"{seen} = extractvalue {{ i32, i1 }} {pair}, 0")
    return builder.assign(f"extractvalue {{ i32, i1 }} {pair}, 1")
