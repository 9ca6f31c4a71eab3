"""Reading the kernel's own structure of a map through the pointer that a wide load gives.

Which structure stands behind which type of map was asked of Linux 6.18, type by type.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from skep.btf.types import Pointer
from skep.objects.kinds import MapType
from skep.verifier.kernel.kernel_types import OutsideError
from skep.verifier.maps.facts import MapFacts
from skep.verifier.rejection import NotCovered, Rejection
from skep.verifier.states.register import PERCPU, READ_ONLY, UNTRUSTED, USER, Kind, Register, register

if TYPE_CHECKING:
    from skep.verifier.paths.exploration import Explorer
    from skep.verifier.steps.accesses import Access

_T = MapType
_STRUCTURES: Final = {
    **dict.fromkeys((_T.HASH, _T.PERCPU_HASH, _T.LRU_HASH, _T.LRU_PERCPU_HASH, _T.HASH_OF_MAPS), "bpf_htab"),
    **dict.fromkeys(
        (_T.ARRAY, _T.PERCPU_ARRAY, _T.PROG_ARRAY, _T.PERF_EVENT_ARRAY, _T.CGROUP_ARRAY, _T.ARRAY_OF_MAPS),
        "bpf_array",
    ),
    **dict.fromkeys((_T.DEVMAP, _T.DEVMAP_HASH), "bpf_dtab"),
    **dict.fromkeys((_T.QUEUE, _T.STACK), "bpf_queue_stack"),
    **dict.fromkeys((_T.RINGBUF, _T.USER_RINGBUF), "bpf_ringbuf_map"),
    **dict.fromkeys((_T.CGROUP_STORAGE, _T.PERCPU_CGROUP_STORAGE), "bpf_cgroup_storage_map"),
    **dict.fromkeys((_T.SK_STORAGE, _T.INODE_STORAGE, _T.TASK_STORAGE, _T.CGRP_STORAGE), "bpf_local_storage_map"),
    _T.LPM_TRIE: "lpm_trie",
    _T.STACK_TRACE: "bpf_stack_map",
    _T.SOCKMAP: "bpf_stab",
    _T.SOCKHASH: "bpf_shtab",
    _T.CPUMAP: "bpf_cpu_map",
    _T.XSKMAP: "xsk_map",
    _T.REUSEPORT_SOCKARRAY: "reuseport_array",
    _T.BLOOM_FILTER: "bpf_bloom_filter",
    _T.ARENA: "bpf_arena",
}
_MEANINGS: Final = {"percpu": PERCPU, "user": USER}


def structure_access(explorer: Explorer, access: Access) -> Register | None:
    """What a load through a pointer to a map leaves in a register (None: any number), or the refusal."""
    map = access.pointer.subject
    assert isinstance(map, MapFacts)
    name = _STRUCTURES.get(map.type)
    if name is None:
        raise NotCovered(f"an access to the kernel's own structure of map {map.name}")
    index, offset = access.index, access.offset
    if offset < 0:
        raise Rejection(f"R{index} is {name} invalid negative access: off={offset}", register=index, map=map.name)
    if access.is_store:
        raise Rejection(f"only read from {name} is supported", register=index, map=map.name)
    types = explorer.context.kernel_types
    try:
        place = types.member_at(types.struct(name), offset, access.size)
    except OutsideError as outside:
        raise Rejection(outside.message, register=index, map=map.name) from None
    if place.target is None:
        is_pointer = place.member is not None and isinstance(types.btf.resolve(place.member.type), Pointer)
        return register(Kind.MEMORY, flags=READ_ONLY | UNTRUSTED) if is_pointer else None
    flags = UNTRUSTED if place.through_union else 0
    for tag, flag in _MEANINGS.items():
        flags |= flag if tag in place.tags else 0
    return register(Kind.OBJECT, flags=flags, subject=place.target)
