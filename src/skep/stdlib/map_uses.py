"""Which types of map may be passed to which helper.

Measured: Linux 6.18 was asked to load a call of each helper with a map of each type
(``tests/stdlib/test_map_uses.py`` repeats this). Helpers with arguments that a bare program cannot pass (callbacks,
kernel objects) follow the documentation. ``timer_init`` is missing: it takes whatever map its timer lies in.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from skep.objects.kinds import AttachType, MapType, ProgramType

_M = MapType
_T = ProgramType


def _only(*types: MapType) -> frozenset[MapType]:
    return frozenset(types)


_STORES = _only(_M.HASH, _M.ARRAY, _M.PERCPU_HASH, _M.PERCPU_ARRAY, _M.LRU_HASH, _M.LRU_PERCPU_HASH, _M.LPM_TRIE)
_SOCKETS = _only(_M.SOCKMAP, _M.SOCKHASH)
_PERF = _only(_M.PERF_EVENT_ARRAY)
_RINGBUF = _only(_M.RINGBUF)

#: The map types that each helper takes, by the helper's name.
USES: Mapping[str, frozenset[MapType]] = MappingProxyType(
    {
        "map_lookup_elem": _STORES
        | _SOCKETS
        | _only(_M.ARRAY_OF_MAPS, _M.HASH_OF_MAPS, _M.DEVMAP, _M.DEVMAP_HASH, _M.XSKMAP),
        "map_update_elem": _STORES | _SOCKETS,
        "map_delete_elem": _STORES | _SOCKETS,
        "map_lookup_percpu_elem": _only(_M.PERCPU_HASH, _M.PERCPU_ARRAY, _M.LRU_PERCPU_HASH),
        "map_push_elem": _only(_M.QUEUE, _M.STACK, _M.BLOOM_FILTER),
        "map_pop_elem": _only(_M.QUEUE, _M.STACK),
        "map_peek_elem": _only(_M.QUEUE, _M.STACK, _M.BLOOM_FILTER),
        "for_each_map_elem": _STORES - {_M.LPM_TRIE},
        "tail_call": _only(_M.PROG_ARRAY),
        "perf_event_read": _PERF,
        "perf_event_read_value": _PERF,
        "perf_event_output": _PERF,
        "skb_output": _PERF,
        "xdp_output": _PERF,
        "get_stackid": _only(_M.STACK_TRACE),
        "skb_under_cgroup": _only(_M.CGROUP_ARRAY),
        "current_task_under_cgroup": _only(_M.CGROUP_ARRAY),
        "redirect_map": _only(_M.DEVMAP, _M.DEVMAP_HASH, _M.CPUMAP, _M.XSKMAP),
        "sk_redirect_map": _only(_M.SOCKMAP),
        "sk_redirect_hash": _only(_M.SOCKHASH),
        "msg_redirect_map": _only(_M.SOCKMAP),
        "msg_redirect_hash": _only(_M.SOCKHASH),
        "sock_map_update": _only(_M.SOCKMAP),
        "sock_hash_update": _only(_M.SOCKHASH),
        "sk_select_reuseport": _SOCKETS | _only(_M.REUSEPORT_SOCKARRAY),
        "get_local_storage": _only(_M.CGROUP_STORAGE, _M.PERCPU_CGROUP_STORAGE),
        "sk_storage_get": _only(_M.SK_STORAGE),
        "sk_storage_delete": _only(_M.SK_STORAGE),
        "inode_storage_get": _only(_M.INODE_STORAGE),
        "inode_storage_delete": _only(_M.INODE_STORAGE),
        "task_storage_get": _only(_M.TASK_STORAGE),
        "task_storage_delete": _only(_M.TASK_STORAGE),
        "cgrp_storage_get": _only(_M.CGRP_STORAGE),
        "cgrp_storage_delete": _only(_M.CGRP_STORAGE),
        "ringbuf_output": _RINGBUF,
        "ringbuf_reserve": _RINGBUF,
        "ringbuf_reserve_dynptr": _RINGBUF,
        "ringbuf_query": _RINGBUF,
        "user_ringbuf_drain": _only(_M.USER_RINGBUF),
    }
)

#: Programs that may store sockets with map_update_elem. Those of SOCK_OPS may delete: to store they have helpers.
_SOCKET_KEEPERS = frozenset(
    {
        _T.SOCKET_FILTER,
        _T.SCHED_CLS,
        _T.SCHED_ACT,
        _T.XDP,
        _T.SK_REUSEPORT,
        _T.FLOW_DISSECTOR,
        _T.SK_LOOKUP,
    }
)


def takes(
    helper: str, map_type: MapType, program: ProgramType | None = None, attach_type: AttachType | None = None
) -> bool:
    """Whether ``helper`` (a name without ``bpf_``) takes a map of this type, called from a program of that type.

    Without ``program`` the answer is for the program type that allows most. A helper without a rule takes any map.
    """
    uses = USES.get(helper)
    if uses is None:
        return True
    if map_type not in uses:
        return False
    if map_type in _SOCKETS and program is not None and helper in ("map_update_elem", "map_delete_elem"):
        deletes = program is _T.SOCK_OPS and helper == "map_delete_elem"
        iterates = program is _T.TRACING and attach_type is AttachType.TRACE_ITER
        return deletes or iterates or program in _SOCKET_KEEPERS
    return True
