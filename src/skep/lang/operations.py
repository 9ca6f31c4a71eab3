"""The operations that the language has beyond Python's operators, as declarations.

Each is compiled by the row of the same function in ``intrinsics``; here stand its types, for a type checker, and its
meaning, for a reader. None of them runs in Python: they mean something only inside a compiled function.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, NoReturn, TypeVar

from skep.errors import LanguageError
from skep.lang.surface import Array, Ptr

T = TypeVar("T")


class Order(Enum):
    """The order that an atomic operation keeps with the memory accesses around it; the value is LLVM's word."""

    RELAXED = "monotonic"
    ACQUIRE = "acquire"
    RELEASE = "release"
    ACQ_REL = "acq_rel"
    SEQ_CST = "seq_cst"


RELAXED = Order.RELAXED
ACQUIRE = Order.ACQUIRE
RELEASE = Order.RELEASE
ACQ_REL = Order.ACQ_REL
SEQ_CST = Order.SEQ_CST


def _only_compiled(name: str) -> NoReturn:
    raise LanguageError(f"{name} works inside a compiled function: decorate the function around it with @function")


def atomic_load(pointer: Ptr[T], order: Order = SEQ_CST) -> T:
    """The value at ``pointer``, in one access."""
    _only_compiled("atomic_load")


def atomic_store(pointer: Ptr[T], value: T, order: Order = SEQ_CST) -> None:
    """Store ``value`` in one access."""
    _only_compiled("atomic_store")


def atomic_exchange(pointer: Ptr[T], value: T, order: Order = SEQ_CST) -> T:
    """Store ``value`` and return what was there."""
    _only_compiled("atomic_exchange")


def atomic_compare_exchange(pointer: Ptr[T], expected: T, desired: T, order: Order = SEQ_CST) -> T:
    """Store ``desired`` if ``expected`` is there, and return what was there: it succeeded if that is ``expected``."""
    _only_compiled("atomic_compare_exchange")


def atomic_add(pointer: Ptr[T], value: T, order: Order = SEQ_CST) -> T:
    """Add ``value`` and return what was there before."""
    _only_compiled("atomic_add")


def atomic_sub(pointer: Ptr[T], value: T, order: Order = SEQ_CST) -> T:
    """Subtract ``value`` and return what was there before."""
    _only_compiled("atomic_sub")


def atomic_and(pointer: Ptr[T], value: T, order: Order = SEQ_CST) -> T:
    """Clear the bits that ``value`` lacks and return what was there before."""
    _only_compiled("atomic_and")


def atomic_or(pointer: Ptr[T], value: T, order: Order = SEQ_CST) -> T:
    """Set the bits of ``value`` and return what was there before."""
    _only_compiled("atomic_or")


def atomic_xor(pointer: Ptr[T], value: T, order: Order = SEQ_CST) -> T:
    """Flip the bits of ``value`` and return what was there before."""
    _only_compiled("atomic_xor")


def atomic_min(pointer: Ptr[T], value: T, order: Order = SEQ_CST) -> T:
    """Store the smaller, by the signedness of the type, and return what was there before."""
    _only_compiled("atomic_min")


def atomic_max(pointer: Ptr[T], value: T, order: Order = SEQ_CST) -> T:
    """Store the larger, by the signedness of the type, and return what was there before."""
    _only_compiled("atomic_max")


def fence(order: Order = SEQ_CST) -> None:
    """Keep ``order`` between the accesses before and after."""
    _only_compiled("fence")


def compiler_fence() -> None:
    """Keep the compiler, not the processor, from moving memory accesses across."""
    _only_compiled("compiler_fence")


def relax() -> None:
    """Tell the processor that this is a waiting loop (``pause``, ``yield``); nothing where it has no such hint."""
    _only_compiled("relax")


def byte_swap(value: T) -> T:
    """The bytes of a 16, 32 or 64-bit integer in reverse order."""
    _only_compiled("byte_swap")


def big_endian(value: T) -> T:
    """Between the byte order of the machine and big-endian (network) order, either way."""
    _only_compiled("big_endian")


def leading_zeros(value: T) -> T:
    """How many zero bits precede the highest set bit; the width for 0."""
    _only_compiled("leading_zeros")


def trailing_zeros(value: T) -> T:
    """How many zero bits follow the lowest set bit; the width for 0."""
    _only_compiled("trailing_zeros")


def popcount(value: T) -> T:
    """How many bits are set."""
    _only_compiled("popcount")


def rotate_left(value: T, amount: T) -> T:
    """The bits moved up by ``amount`` modulo the width, those that leave at the top entering at the bottom."""
    _only_compiled("rotate_left")


def rotate_right(value: T, amount: T) -> T:
    """The bits moved down by ``amount`` modulo the width, those that leave at the bottom entering at the top."""
    _only_compiled("rotate_right")


def multiply_high(left: int, right: int) -> int:
    """The upper half of the product, of twice the width, of two unsigned integers of one type."""
    _only_compiled("multiply_high")


def add_saturating(left: T, right: T) -> T:
    """The sum, or the end of the type's range where it does not fit."""
    _only_compiled("add_saturating")


def sub_saturating(left: T, right: T) -> T:
    """The difference, or the end of the type's range where it does not fit."""
    _only_compiled("sub_saturating")


def add_overflows(left: T, right: T) -> bool:
    """Whether the sum leaves the type's range."""
    _only_compiled("add_overflows")


def sub_overflows(left: T, right: T) -> bool:
    """Whether the difference leaves the type's range."""
    _only_compiled("sub_overflows")


def multiply_overflows(left: T, right: T) -> bool:
    """Whether the product leaves the type's range."""
    _only_compiled("multiply_overflows")


def memory_copy(destination: Ptr[Any], source: Ptr[Any], size: int) -> None:
    """Copy ``size`` bytes between places that do not overlap (or are the same)."""
    _only_compiled("memory_copy")


def memory_move(destination: Ptr[Any], source: Ptr[Any], size: int) -> None:
    """Copy ``size`` bytes between places that may overlap."""
    _only_compiled("memory_move")


def memory_set(destination: Ptr[Any], byte: int, size: int) -> None:
    """Fill ``size`` bytes with the lowest 8 bits of ``byte``."""
    _only_compiled("memory_set")


def memory_compare(left: Ptr[Any], right: Ptr[Any], size: int) -> int:
    """An ``i32``: below 0, 0 or above 0 as ``left`` is smaller, equal or greater, byte by byte."""
    _only_compiled("memory_compare")


def memory_equal(left: Ptr[Any], right: Ptr[Any], size: int) -> bool:
    """Whether ``size`` bytes are the same; for a constant size it is compared in words."""
    _only_compiled("memory_equal")


def load_unaligned(pointer: Ptr[T]) -> T:
    """The value at an address that need not be a multiple of its size."""
    _only_compiled("load_unaligned")


def store_unaligned(pointer: Ptr[T], value: T) -> None:
    """Store a value at an address that need not be a multiple of its size."""
    _only_compiled("store_unaligned")


def offset(pointer: Ptr[T], elements: int) -> Ptr[T]:
    """The address ``elements`` times the size of a ``T`` further on (or back, for a negative signed integer)."""
    _only_compiled("offset")


def prefetch(pointer: Ptr[Any], write: bool = False) -> None:
    """Ask the processor to bring the cache line at ``pointer`` nearer."""
    _only_compiled("prefetch")


def likely(condition: object) -> bool:
    """``condition``, said to be true nearly always."""
    _only_compiled("likely")


def unlikely(condition: object) -> bool:
    """``condition``, said to be false nearly always."""
    _only_compiled("unlikely")


def expect(value: T, usual: T) -> T:
    """``value``, said to be ``usual`` nearly always."""
    _only_compiled("expect")


def assume(condition: object) -> None:
    """A promise that ``condition`` holds; if it does not, anything may happen. ``assert`` says the same."""
    _only_compiled("assume")


def unreachable() -> NoReturn:
    """A promise that this place is never reached; if it is, anything may happen."""
    _only_compiled("unreachable")


def array(element: type[T], count: int) -> Array[T]:
    """A local array of ``count`` elements, all zero each time it is made."""
    _only_compiled("array")


def scratch(element: type[T], count: int) -> Array[T]:
    """A local array of ``count`` elements that hold anything until they are written."""
    _only_compiled("scratch")


def target_is(*architectures: str) -> bool:
    """Whether the code is made for one of these (``"x86_64"``, ``"aarch64"``, ``"bpf"`` …). A constant."""
    _only_compiled("target_is")
