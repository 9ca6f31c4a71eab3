"""The descriptor of a map in memory: what a map's address in a register points to.

All types begin with :class:`MapHead`; code that serves every map looks there for type and sizes. Functions that are
made for one map have the same numbers as constants and do not look.
"""

from __future__ import annotations

from skep.lang import Ptr, struct, u8, u32, u64

#: ``lock_offset`` of a map whose values hold no spin lock.
NO_LOCK = 0xFFFFFFFF


@struct(align=64)
class MapHead:
    """Sizes in bytes. A value of CPU ``c`` at index ``i`` lies at ``values + c * cpu_stride + i * stride``."""

    type: u32
    key_size: u32
    value_size: u32
    max_entries: u32
    flags: u32
    cpus: u32
    lock_offset: u32
    stride: u32
    cpu_stride: u64
    values: Ptr[u8]
