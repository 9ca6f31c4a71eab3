"""Which helpers take which types of map.

Some map types are for a few helpers only, some helpers for a few map types only. Source: bpf-helpers(7) and the
documentation of the map types; held against Linux 6.18 pair by pair (``tests/verifier``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from skep.objects.kinds import AttachType, MapType, ProgramType
from skep.stdlib import prototypes

if TYPE_CHECKING:
    from skep.verifier.context import Context

_T = MapType


def _numbers(*names: str) -> frozenset[int]:
    return frozenset(prototypes.number(name) for name in names)


#: Map types that nothing but these helpers takes.
ONLY_HELPERS: dict[MapType, frozenset[int]] = {
    _T.PROG_ARRAY: _numbers("tail_call"),
    _T.PERF_EVENT_ARRAY: _numbers(
        "perf_event_read", "perf_event_output", "skb_output", "perf_event_read_value", "xdp_output"
    ),
    _T.RINGBUF: _numbers(
        "ringbuf_output",
        "ringbuf_reserve",
        "ringbuf_query",
        "ringbuf_reserve_dynptr",
        "ringbuf_submit_dynptr",
        "ringbuf_discard_dynptr",
    ),
    _T.USER_RINGBUF: _numbers("user_ringbuf_drain"),
    _T.STACK_TRACE: _numbers("get_stackid"),
    _T.CGROUP_ARRAY: _numbers("skb_under_cgroup", "current_task_under_cgroup"),
    _T.CGROUP_STORAGE: _numbers("get_local_storage"),
    _T.PERCPU_CGROUP_STORAGE: _numbers("get_local_storage"),
    _T.DEVMAP: _numbers("redirect_map", "map_lookup_elem"),
    _T.DEVMAP_HASH: _numbers("redirect_map", "map_lookup_elem"),
    _T.CPUMAP: _numbers("redirect_map"),
    _T.XSKMAP: _numbers("redirect_map", "map_lookup_elem"),
    _T.ARRAY_OF_MAPS: _numbers("map_lookup_elem"),
    _T.HASH_OF_MAPS: _numbers("map_lookup_elem"),
    _T.SOCKMAP: _numbers(
        "sk_redirect_map",
        "sock_map_update",
        "map_delete_elem",
        "msg_redirect_map",
        "sk_select_reuseport",
        "map_lookup_elem",
        "map_update_elem",
    ),
    _T.SOCKHASH: _numbers(
        "sk_redirect_hash",
        "sock_hash_update",
        "map_delete_elem",
        "msg_redirect_hash",
        "sk_select_reuseport",
        "map_lookup_elem",
        "map_update_elem",
    ),
    _T.REUSEPORT_SOCKARRAY: _numbers("sk_select_reuseport"),
    _T.QUEUE: _numbers("map_peek_elem", "map_pop_elem", "map_push_elem"),
    _T.STACK: _numbers("map_peek_elem", "map_pop_elem", "map_push_elem"),
    _T.SK_STORAGE: _numbers("sk_storage_get", "sk_storage_delete", "kptr_xchg"),
    _T.INODE_STORAGE: _numbers("inode_storage_get", "inode_storage_delete", "kptr_xchg"),
    _T.TASK_STORAGE: _numbers("task_storage_get", "task_storage_delete", "kptr_xchg"),
    _T.CGRP_STORAGE: _numbers("cgrp_storage_get", "cgrp_storage_delete", "kptr_xchg"),
    _T.BLOOM_FILTER: _numbers("map_peek_elem", "map_push_elem"),
}

#: Helpers that take nothing but maps of these types.
ONLY_MAPS: dict[int, frozenset[MapType]] = {
    number: frozenset(types)
    for names, types in (
        (("tail_call",), (_T.PROG_ARRAY,)),
        (
            ("perf_event_read", "perf_event_output", "perf_event_read_value", "skb_output", "xdp_output"),
            (_T.PERF_EVENT_ARRAY,),
        ),
        (
            ("ringbuf_output", "ringbuf_reserve", "ringbuf_query", "ringbuf_reserve_dynptr"),
            (_T.RINGBUF,),
        ),
        (("user_ringbuf_drain",), (_T.USER_RINGBUF,)),
        (("get_stackid",), (_T.STACK_TRACE,)),
        (("current_task_under_cgroup", "skb_under_cgroup"), (_T.CGROUP_ARRAY,)),
        (("redirect_map",), (_T.DEVMAP, _T.DEVMAP_HASH, _T.CPUMAP, _T.XSKMAP)),
        (("sk_redirect_map", "msg_redirect_map", "sock_map_update"), (_T.SOCKMAP,)),
        (("sk_redirect_hash", "msg_redirect_hash", "sock_hash_update"), (_T.SOCKHASH,)),
        (("get_local_storage",), (_T.CGROUP_STORAGE, _T.PERCPU_CGROUP_STORAGE)),
        (("sk_select_reuseport",), (_T.REUSEPORT_SOCKARRAY, _T.SOCKMAP, _T.SOCKHASH)),
        (("map_pop_elem",), (_T.QUEUE, _T.STACK)),
        (("map_peek_elem", "map_push_elem"), (_T.QUEUE, _T.STACK, _T.BLOOM_FILTER)),
        (("map_lookup_percpu_elem",), (_T.PERCPU_ARRAY, _T.PERCPU_HASH, _T.LRU_PERCPU_HASH)),
        (("sk_storage_get", "sk_storage_delete"), (_T.SK_STORAGE,)),
        (("inode_storage_get", "inode_storage_delete"), (_T.INODE_STORAGE,)),
        (("task_storage_get", "task_storage_delete"), (_T.TASK_STORAGE,)),
        (("cgrp_storage_get", "cgrp_storage_delete"), (_T.CGRP_STORAGE,)),
    )
    for number in _numbers(*names)
}


SOCKET_MAPS = frozenset({_T.SOCKMAP, _T.SOCKHASH})
_UPDATE, _DELETE = prototypes.number("map_update_elem"), prototypes.number("map_delete_elem")
#: Types whose programs may put sockets into maps of sockets, and take them out.
_SOCKET_OWNERS = frozenset(
    {
        ProgramType.SOCKET_FILTER,
        ProgramType.SCHED_CLS,
        ProgramType.SCHED_ACT,
        ProgramType.XDP,
        ProgramType.SK_REUSEPORT,
        ProgramType.FLOW_DISSECTOR,
        ProgramType.SK_LOOKUP,
    }
)


def may_change(context: Context, map_type: MapType, helper: int) -> bool:
    """Whether programs of this type may change a map of sockets; other maps are anybody's."""
    if map_type not in SOCKET_MAPS or helper not in (_UPDATE, _DELETE):
        return True
    if context.type is ProgramType.TRACING:
        return context.attach_type is AttachType.TRACE_ITER
    return context.type in _SOCKET_OWNERS or (context.type is ProgramType.SOCK_OPS and helper == _DELETE)


def fits(map_type: MapType, helper: int) -> bool:
    """Whether helper ``helper`` takes maps of this type."""
    helpers = ONLY_HELPERS.get(map_type)
    if helpers is not None and helper not in helpers:
        return False
    types = ONLY_MAPS.get(helper)
    return types is None or map_type in types
