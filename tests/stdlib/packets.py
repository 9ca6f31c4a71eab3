"""Packets that the tests of packet helpers share, as Hypothesis strategies: mostly well-formed, some cut or odd."""

from __future__ import annotations

from hypothesis import strategies as st

_ADDRESSES = st.sampled_from([bytes(12), bytes.fromhex("020202020202030303030303"), b"\xff" * 6 + bytes(6)])
_TAGS = st.lists(
    st.builds(
        lambda kind, tci: kind + tci.to_bytes(2, "big"),
        st.sampled_from([b"\x81\x00", b"\x88\xa8"]),
        st.integers(0, 0xFFFF),
    ),
    max_size=3,
).map(b"".join)
_IPV4 = st.builds(
    lambda protocol, rest, payload: b"\x08\x00\x45\x00" + bytes(7) + protocol + rest + payload,
    st.sampled_from([b"\x06", b"\x11", b"\x2f"]),
    st.binary(min_size=10, max_size=10),
    st.binary(max_size=40),
)
_IPV6 = st.builds(
    lambda protocol, rest, payload: b"\x86\xdd\x60" + bytes(5) + protocol + rest + payload,
    st.sampled_from([b"\x06", b"\x11"]),
    st.binary(min_size=33, max_size=33),
    st.binary(max_size=40),
)
_OTHER = st.builds(
    lambda protocol, payload: protocol + payload,
    st.sampled_from([b"\x08\x06", b"\x00\x40", b"\x05\xff", b"\x81\x00", b"\x88\xa8"]),
    st.binary(max_size=40),
)


#: Frames with an Ethernet header: IPv4, IPv6 and other protocols.
IP_PACKETS = st.builds(lambda addresses, body: addresses + body, _ADDRESSES, st.one_of(_IPV4, _IPV6))
OTHER_PACKETS = st.builds(lambda addresses, body: addresses + body, _ADDRESSES, _OTHER)
#: The same with VLAN tags in front of the protocol.
TAGGED_PACKETS = st.builds(
    lambda addresses, tags, body: addresses + tags + body, _ADDRESSES, _TAGS, st.one_of(_IPV4, _IPV6, _OTHER)
)
PACKETS = st.one_of(IP_PACKETS, OTHER_PACKETS, TAGGED_PACKETS)
#: Numbers around what 8, 12, 15, 16, 31, 32 and 64 bits hold.
EDGES = st.sampled_from(
    [
        0,
        1,
        2,
        0xFF,
        0xFFF,
        0x1000,
        0x7FFF,
        0xFFFE,
        0xFFFF,
        0x10000,
        0x7FFFFFFF,
        0x80000000,
        0xFFFFFFFF,
        1 << 32,
        (1 << 63) - 1,
        (1 << 64) - 1,
    ]
)
