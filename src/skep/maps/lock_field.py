"""Where the ``struct bpf_spin_lock`` of a map's value lies, which only BTF can tell.

A value has at most one, as a member of the value's structure or of a structure in it, at a multiple of four bytes.
Linux does not look through typedefs, unions and arrays: a lock in one of these is plain bytes. Only plain hash and
array maps may have one here, and none whose memory programs may not both read and write. Source: definitions of all
these shapes offered to Linux 6.18 through bpf(2).
"""

from __future__ import annotations

import errno
from collections.abc import Iterator

from skep.btf import Btf, Struct, Type
from skep.errors import MapError
from skep.maps.limits import MapFlag
from skep.objects.kinds import MapType
from skep.objects.spec import MapSpec

#: The lock and its bytes.
LOCK_TYPE = "bpf_spin_lock"
LOCK_SIZE = 4

#: How deep structures are looked through; deeper nesting is damaged or pointless.
_MAX_DEPTH = 32

_TYPES = (MapType.HASH, MapType.ARRAY)


def lock_offset(spec: MapSpec) -> int | None:
    """The offset in bytes of the value's spin lock, or None. Raises MapError for one that Linux refuses."""
    if spec.btf is None or not spec.value_type_id:
        return None
    offsets = list(_offsets(spec.btf, spec.btf.resolve(spec.value_type_id), 0, _MAX_DEPTH))
    if not offsets:
        return None
    problem = None
    if len(offsets) > 1:
        problem = "has more than one bpf_spin_lock; Linux takes one a value", errno.E2BIG
    elif spec.type not in _TYPES:
        problem = f"holds a bpf_spin_lock, which maps of type {spec.type.label} may not", errno.EOPNOTSUPP
    elif spec.flags & (MapFlag.RDONLY_PROG | MapFlag.WRONLY_PROG):
        problem = "holds a bpf_spin_lock, but its flags keep programs from reading or writing it", errno.EACCES
    elif offsets[0] % LOCK_SIZE or offsets[0] + LOCK_SIZE > spec.value_size:
        problem = f"has a bpf_spin_lock at offset {offsets[0]}, which is not aligned or not inside it", errno.EINVAL
    if problem is not None:
        raise MapError(f"the value of map {spec.name} {problem[0]}", errno=problem[1])
    return offsets[0]


def _offsets(btf: Btf, type: Type, start: int, depth: int) -> Iterator[int]:
    if not isinstance(type, Struct) or not depth:
        return
    for member in type.members:
        inner = btf[member.type]
        offset = start + member.bit_offset // 8
        if isinstance(inner, Struct) and inner.name == LOCK_TYPE:
            yield offset
        else:
            yield from _offsets(btf, inner, offset, depth - 1)
