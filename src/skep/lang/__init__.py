"""A small, strict, typed subset of Python that becomes LLVM IR: code of the host, BPF instructions, a callable.

``docs/lang.md`` is the language on one page.
"""

from __future__ import annotations

from skep.lang.layout import ArrayView, length, make_struct, struct, to_bytes, view
from skep.lang.surface import (
    Array,
    Fn,
    Ptr,
    address_of,
    align_of,
    array_of,
    cast,
    i8,
    i16,
    i32,
    i64,
    null,
    offset_of,
    size_of,
    u8,
    u16,
    u32,
    u64,
)

__all__ = [
    "Array",
    "ArrayView",
    "Fn",
    "Ptr",
    "address_of",
    "align_of",
    "array_of",
    "cast",
    "i8",
    "i16",
    "i32",
    "i64",
    "length",
    "make_struct",
    "null",
    "offset_of",
    "size_of",
    "struct",
    "to_bytes",
    "u8",
    "u16",
    "u32",
    "u64",
    "view",
]
