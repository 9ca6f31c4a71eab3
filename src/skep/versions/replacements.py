"""What to use instead, on kernels that do not have something: the usual older way to the same end.

Source: bpf-helpers(7), which names the forerunners of helpers, and libbpf's documentation of what it does by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_READ: Final = "bpf_probe_read, which older kernels have for both kinds of memory"
_PERF: Final = "a perf event array with bpf_perf_event_output"
_NO_LOOP: Final = "a loop with a constant bound (#pragma unroll before 5.3)"
_STORAGE: Final = "a hash map with {} as the key"

#: What to use instead of a helper, by its name without bpf_.
HELPERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "probe_read_kernel": _READ,
        "probe_read_user": _READ,
        "probe_read_kernel_str": "bpf_probe_read_str",
        "probe_read_user_str": "bpf_probe_read_str",
        "probe_read_str": "bpf_probe_read, and end the string yourself",
        **dict.fromkeys(
            ("ringbuf_output", "ringbuf_reserve", "ringbuf_submit", "ringbuf_discard", "ringbuf_query"), _PERF
        ),
        "ringbuf_reserve_dynptr": "bpf_ringbuf_output (5.8) with a record of the largest size",
        "loop": _NO_LOOP,
        "for_each_map_elem": "keys that are known, or go through the map from user space",
        "ktime_get_boot_ns": "bpf_ktime_get_ns, which does not count time in suspend",
        "ktime_get_coarse_ns": "bpf_ktime_get_ns",
        "ktime_get_tai_ns": "bpf_ktime_get_ns, and add the offset from user space",
        "jiffies64": "bpf_ktime_get_ns",
        "get_current_task_btf": "bpf_get_current_task and bpf_probe_read",
        "trace_vprintk": "bpf_trace_printk with at most three arguments",
        "snprintf": "numbers written to the record as they are, formatted in user space",
        "strncmp": "a loop with a constant bound over the bytes",
        "task_storage_get": _STORAGE.format("the task's pid"),
        "sk_storage_get": _STORAGE.format("bpf_get_socket_cookie"),
        "inode_storage_get": _STORAGE.format("device and inode number"),
        "cgrp_storage_get": _STORAGE.format("the cgroup's id"),
        "map_lookup_percpu_elem": "a lookup on each CPU, added up in user space",
        "get_func_ip": "an attach cookie, or one program for each function",
        "get_attach_cookie": "one program for each place, with a constant of its own",
        "get_func_arg": "the arguments in the context (PT_REGS_PARM1 and so on, or ctx[0] of fentry)",
        "xdp_load_bytes": "direct packet access, with a comparison against data_end",
        "xdp_store_bytes": "direct packet access, with a comparison against data_end",
        "xdp_get_buff_len": "data_end - data",
        "redirect_neigh": "bpf_fib_lookup (4.18), addresses written by hand, and bpf_redirect",
        "redirect_peer": "bpf_redirect",
        "spin_lock": "an atomic add, or a per-CPU map",
        "spin_unlock": "an atomic add, or a per-CPU map",
        "get_ns_current_pid_tgid": "bpf_get_current_pid_tgid, whose numbers are those of the first namespace",
        "get_socket_cookie": "addresses and ports as the key",
    }
)

#: What to use instead of a map type, by its name.
MAP_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "RINGBUF": "PERF_EVENT_ARRAY (4.3)",
        "USER_RINGBUF": "an array that user space writes",
        "LRU_HASH": "HASH, emptied from user space",
        "LRU_PERCPU_HASH": "PERCPU_HASH (4.6), emptied from user space",
        "TASK_STORAGE": "HASH with the task's pid as the key",
        "SK_STORAGE": "HASH with bpf_get_socket_cookie (4.12) as the key",
        "INODE_STORAGE": "HASH with device and inode number as the key",
        "CGRP_STORAGE": "HASH with the cgroup's id as the key",
        "CGROUP_STORAGE": "HASH with the cgroup's id as the key",
        "BLOOM_FILTER": "HASH, or bits in an ARRAY",
        "DEVMAP_HASH": "DEVMAP (4.14)",
        "QUEUE": "ARRAY with a counter",
        "STACK": "ARRAY with a counter",
        "ARENA": "ARRAY, made mappable (5.5)",
    }
)

#: What to use instead of a program type, by its name.
PROGRAM_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "TRACING": 'kprobes, or raw tracepoints (SEC("raw_tp/..."), 4.17), instead of fentry and tp_btf',
        "RAW_TRACEPOINT": 'tracepoints (SEC("tp/..."))',
        "LSM": "kprobes on the functions that the hooks are called from, which observe and cannot refuse",
        "XDP": "tc programs",
    }
)

#: What to use instead of a kernel function, by the start of its name.
KFUNCS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "bpf_iter_num_": "bpf_loop (5.17), or a loop with a constant bound (5.3)",
        "bpf_dynptr_from_skb": "direct packet access or bpf_skb_load_bytes",
        "bpf_dynptr_from_xdp": "direct packet access or bpf_xdp_load_bytes (5.18)",
        "bpf_rdonly_cast": "BPF_CORE_READ, that is bpf_probe_read_kernel (5.5)",
        "bpf_str": "a loop with a constant bound over the bytes",
        "bpf_task_from_pid": "what the context gives, or bpf_get_current_task",
        "bpf_wq_": "bpf_timer_init and its kin (5.15)",
        "bpf_throw": "a return with an error value",
        "bpf_res_spin_": "bpf_spin_lock (5.1)",
    }
)
