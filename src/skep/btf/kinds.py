"""The kinds of BTF type and what each record holds behind its first twelve bytes.

Source: the kernel's ``Documentation/bpf/btf.rst`` and ``include/uapi/linux/btf.h`` of Linux 6.18.
"""

from __future__ import annotations

from enum import IntEnum


class Kind(IntEnum):
    """What a BTF type is, by the number in its record."""

    VOID = 0
    INT = 1
    PTR = 2
    ARRAY = 3
    STRUCT = 4
    UNION = 5
    ENUM = 6
    FWD = 7
    TYPEDEF = 8
    VOLATILE = 9
    CONST = 10
    RESTRICT = 11
    FUNC = 12
    FUNC_PROTO = 13
    VAR = 14
    DATASEC = 15
    FLOAT = 16
    DECL_TAG = 17
    TYPE_TAG = 18
    ENUM64 = 19


#: Words (4 bytes) of a record that do not repeat: three common ones, then what the kind adds.
FIXED_WORDS: dict[Kind, int] = {
    kind: {Kind.INT: 4, Kind.ARRAY: 6, Kind.VAR: 4, Kind.DECL_TAG: 4}.get(kind, 3)
    for kind in Kind
    if kind is not Kind.VOID
}

#: Words that each of a record's ``vlen`` entries adds.
ENTRY_WORDS: dict[Kind, int] = {
    Kind.STRUCT: 3,
    Kind.UNION: 3,
    Kind.ENUM: 2,
    Kind.FUNC_PROTO: 2,
    Kind.DATASEC: 3,
    Kind.ENUM64: 3,
}
