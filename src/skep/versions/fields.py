"""Since which version of Linux there are fields: of contexts, of map values and of programs' objects, and tables.

Source: for ``struct __sk_buff`` docs.ebpf.io ("Program context __sk_buff"), for ``struct xdp_md`` and the rest the
commits that added them; the user-space headers of Linux 4.19, 5.16, 6.1, 6.3, 6.12 and 6.13 show the first two.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from skep.versions.table import by_name
from skep.versions.version import KernelVersion

#: Fields of ``struct __sk_buff``, by name.
SKB: Final[Mapping[str, KernelVersion]] = by_name(
    {
        "4.1": "len pkt_type mark queue_mapping protocol vlan_present vlan_tci vlan_proto priority",
        "4.2": "ingress_ifindex ifindex tc_index cb",
        "4.3": "hash",
        "4.4": "tc_classid",
        "4.7": "data data_end",
        "4.12": "napi_id",
        "4.14": "family remote_ip4 local_ip4 remote_ip6 local_ip6 remote_port local_port",
        "4.15": "data_meta",
        "4.20": "flow_keys",
        "5.0": "tstamp wire_len",
        "5.1": "gso_segs sk",
        "5.7": "gso_size",
        "5.16": "hwtstamp",
        "5.18": "tstamp_type",
    }
)
#: Fields of ``struct xdp_md``, by name.
XDP: Final[Mapping[str, KernelVersion]] = by_name(
    {
        "4.8": "data data_end",
        "4.15": "data_meta",
        "4.16": "ingress_ifindex rx_queue_index",
        "5.8": "egress_ifindex",
    }
)
#: Since when a field may be read in part: one byte of four.
NARROW_LOADS: Final = KernelVersion(4, 13)

#: Structs with rules of their own that map values and objects of programs may hold.
STRUCTURES: Final[Mapping[str, KernelVersion]] = by_name(
    {
        "5.1": "bpf_spin_lock",
        "5.15": "bpf_timer",
        "6.2": "bpf_list_head bpf_list_node",
        "6.3": "bpf_rb_root bpf_rb_node",
        "6.4": "bpf_refcount",
        "6.10": "bpf_wq",
        "6.15": "bpf_res_spin_lock",
        "6.18": "bpf_task_work",
    }
)
#: Tags of pointers that map values may hold. Before 6.4 what is ``kptr`` now was ``kptr_ref``.
POINTER_TAGS: Final[Mapping[str, KernelVersion]] = by_name(
    {"5.19": "kptr_ref", "6.4": "kptr kptr_untrusted", "6.7": "percpu_kptr", "6.13": "uptr"}
)
#: Tables of functions that programs may implement (struct_ops), by the name of their type.
TABLES: Final[Mapping[str, KernelVersion]] = by_name(
    {
        "5.6": "tcp_congestion_ops",
        "5.16": "bpf_dummy_ops",
        "6.11": "hid_bpf_ops",
        "6.12": "sched_ext_ops",
        "6.16": "Qdisc_ops",
    }
)

#: Kinds of BTF type, by the name of the kind. libbpf writes what a kernel does not know in terms of older kinds.
BTF_KINDS: Final[Mapping[str, KernelVersion]] = by_name(
    {
        "4.18": "INT PTR ARRAY STRUCT UNION ENUM FWD TYPEDEF VOLATILE CONST RESTRICT",
        "5.0": "FUNC FUNC_PROTO",
        "5.2": "VAR DATASEC",
        "5.13": "FLOAT",
        "5.16": "DECL_TAG",
        "5.17": "TYPE_TAG",
        "6.0": "ENUM64",
    }
)
