"""The structures in memory that stand behind the contexts that programs see.

Each begins with the visible structure at its own offsets, so that a scalar is read where the program says; behind
it stands what the visible structure has no room for, 64-bit pointers above all. ``skep.programs`` maps one onto the
other.

The visible part follows ``struct xdp_md``, ``struct __sk_buff`` and ``struct bpf_flow_keys`` of the kernel's
user-space interface (Linux 6.18); the native part is skep's own.
"""

from __future__ import annotations

from skep.lang import Array, Ptr, i32, length, struct, u8, u16, u32, u64


@struct
class XdpContext:
    """``struct xdp_md`` (24 bytes; its 32-bit pointers stay 0), then the frame that the packet lies in.

    The packet is ``data`` to ``data_end``, its metadata ``data_meta`` to ``data``. The frame is ``hard_start`` to
    ``hard_end``; the first bytes of it are not the program's (see ``skep.stdlib.xdp``).
    """

    visible_data: u32
    visible_data_end: u32
    visible_data_meta: u32
    ingress_ifindex: u32
    rx_queue_index: u32
    egress_ifindex: u32
    data: Ptr[u8]
    data_end: Ptr[u8]
    data_meta: Ptr[u8]
    hard_start: Ptr[u8]
    hard_end: Ptr[u8]


@struct
class FlowKeys:
    """``struct bpf_flow_keys``: what a flow dissector finds. Ports, addresses and ``n_proto`` are big-endian."""

    nhoff: u16
    thoff: u16
    addr_proto: u16
    is_frag: u8
    is_first_frag: u8
    is_encap: u8
    ip_proto: u8
    n_proto: u16
    sport: u16
    dport: u16
    addresses: Array[u8] = length(32)
    flags: u32
    flow_label: u32


@struct
class Socket:
    """``struct bpf_sock``: what programs see of a full socket. Addresses and ``dst_port`` are big-endian."""

    bound_dev_if: u32
    family: u32
    type: u32
    protocol: u32
    mark: u32
    priority: u32
    src_ip4: u32
    src_ip6: Array[u32] = length(4)
    src_port: u32
    dst_port: u16
    dst_ip4: u32
    dst_ip6: Array[u32] = length(4)
    state: u32
    rx_queue_mapping: i32


@struct
class SkbContext:
    """``struct __sk_buff`` (192 bytes; its 32-bit pointers stay 0), then the buffer that the packet lies in.

    The packet is linear, ``data`` to ``data_end``, in a buffer from ``hard_start`` to ``hard_end``. ``mac_header``
    and ``network_header`` are where those headers were found, whether or not ``data`` starts there;
    ``transport_header`` is null until a helper sets it. ``encapsulation`` is 1 once a helper made room for an outer
    header; ``checksum_level`` is 0 for an unchecked packet, else one more than the kernel's level; ``hash_known`` is
    1 where ``hash`` holds. A 16-bit field of the kernel's has 32 bits here, of which the upper half is always 0.
    """

    len: u32
    pkt_type: u32
    mark: u32
    queue_mapping: u32
    protocol: u32
    vlan_present: u32
    vlan_tci: u32
    vlan_proto: u32
    priority: u32
    ingress_ifindex: u32
    ifindex: u32
    tc_index: u32
    cb: Array[u32] = length(5)
    hash: u32
    tc_classid: u32
    visible_data: u32
    visible_data_end: u32
    napi_id: u32
    family: u32
    remote_ip4: u32
    local_ip4: u32
    remote_ip6: Array[u32] = length(4)
    local_ip6: Array[u32] = length(4)
    remote_port: u32
    local_port: u32
    visible_data_meta: u32
    flow_keys: Ptr[FlowKeys]
    tstamp: u64
    wire_len: u32
    gso_segs: u32
    sk: Ptr[Socket]
    gso_size: u32
    tstamp_type: u32
    hwtstamp: u64
    data: Ptr[u8]
    data_end: Ptr[u8]
    data_meta: Ptr[u8]
    hard_start: Ptr[u8]
    hard_end: Ptr[u8]
    mac_header: Ptr[u8]
    network_header: Ptr[u8]
    transport_header: Ptr[u8]
    encapsulation: u32
    checksum_level: u32
    hash_known: u32
    keys: FlowKeys
    socket: Socket
