"""Captures: what is read is what was written, at full time resolution, and damage is one clear error."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skep.errors import CaptureError, SkepError
from skep.machine.capture import ETHERNET, Packet, read_capture, write_capture

TRAFFIC = Path(__file__).parents[2] / "examples" / "traffic.pcap"

packets = st.lists(
    st.builds(Packet, st.binary(min_size=0, max_size=100), st.integers(0, 4_000_000_000 * 10**9)), max_size=20
)


def pcapng(*blocks: bytes, order: str = "<") -> bytes:
    """A pcapng file of one section, blocks given as type and body."""
    header = struct.pack(order + "IIIHHq", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1) + struct.pack(order + "I", 28)
    return header + b"".join(blocks)


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    body += bytes(-len(body) % 4)
    size = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + size + body + size


def interface(link: int = ETHERNET, resolution: int | None = None, order: str = "<") -> bytes:
    option = b"" if resolution is None else struct.pack(order + "HHB3xHH", 9, 1, resolution, 0, 0)
    return block(1, struct.pack(order + "HHI", link, 0, 0) + option, order)


def enhanced(data: bytes, ticks: int, number: int = 0, order: str = "<") -> bytes:
    head = struct.pack(order + "IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(data), len(data))
    return block(6, head + data, order)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(packets)
def test_what_is_written_is_read_to_the_nanosecond(tmp_path: Path, written: list[Packet]) -> None:
    with write_capture(tmp_path / "a.pcap") as writer:
        for packet in written:
            writer.write(packet)
    assert list(read_capture(tmp_path / "a.pcap").packets) == written


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("magic", "unit"), [(0xA1B2C3D4, 1000), (0xA1B23C4D, 1)])
def test_both_resolutions_and_byte_orders_of_pcap(tmp_path: Path, order: str, magic: int, unit: int) -> None:
    file = tmp_path / "a.pcap"
    header = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, ETHERNET)
    file.write_bytes(header + struct.pack(order + "IIII", 1_700_000_000, 123_456, 3, 3) + b"abc")
    assert read_capture(file).packets[0] == Packet(b"abc", 1_700_000_000 * 10**9 + 123_456 * unit)


@pytest.mark.parametrize("order", ["<", ">"])
def test_records_of_kuznetzovs_pcap_are_longer(tmp_path: Path, order: str) -> None:
    file = tmp_path / "a.pcap"
    header = struct.pack(order + "IHHiIII", 0xA1B2CD34, 2, 4, 0, 0, 65535, ETHERNET)
    record = struct.pack(order + "IIII", 5, 7, 3, 3) + bytes(8) + b"abc"
    file.write_bytes(header + 2 * record)
    assert list(read_capture(file).packets) == [Packet(b"abc", 5_000_007_000)] * 2


def test_only_the_lower_half_of_the_link_type_is_one(tmp_path: Path) -> None:
    file = tmp_path / "a.pcap"
    # The upper bits say that each frame ends in a checksum of four bytes.
    file.write_bytes(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 0x24000000 | ETHERNET))
    assert read_capture(file).link == ETHERNET


def test_a_time_beyond_32_bits_of_seconds_is_cut(tmp_path: Path) -> None:
    with write_capture(tmp_path / "a.pcap") as writer:
        writer.write(Packet(b"x", (1 << 32 | 9) * 10**9 + 1))
    assert read_capture(tmp_path / "a.pcap").packets[0].time == 9 * 10**9 + 1


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("resolution", "ticks", "nanoseconds"),
    [
        (None, 1_700_000_000_000_001, 1_700_000_000_000_001_000),
        (9, 1_700_000_000_000_000_001, 1_700_000_000_000_000_001),
        (0x8A, 1 << 10, 10**9),
    ],
)
def test_pcapng_times_are_exact(
    tmp_path: Path, order: str, resolution: int | None, ticks: int, nanoseconds: int
) -> None:
    file = tmp_path / "a.pcapng"
    file.write_bytes(
        pcapng(interface(resolution=resolution, order=order), enhanced(b"abcd", ticks, order=order), order=order)
    )
    assert list(read_capture(file).packets) == [Packet(b"abcd", nanoseconds)]


def test_pcapng_packets_of_every_block_kind_are_read(tmp_path: Path) -> None:
    file = tmp_path / "a.pcapng"
    simple = block(3, struct.pack("<I", 5) + b"simpl")
    file.write_bytes(
        pcapng(interface(), enhanced(b"first", 1), simple, block(0x0BAD, b"who knows"), enhanced(b"x", 2))
    )
    assert [packet.data for packet in read_capture(file).packets] == [b"first", b"simpl", b"x"]


def test_a_capture_of_two_link_types_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.pcapng"
    file.write_bytes(pcapng(interface(), interface(101), enhanced(b"a", 1), enhanced(b"b", 1, number=1)))
    with pytest.raises(CaptureError, match=r"mixes link types \(Ethernet, raw IP\)"):
        read_capture(file)


@pytest.mark.parametrize("size", [1, 3, 10, 23, 30, 40, 1000, 5000])
def test_a_cut_in_mid_packet_is_an_error_that_names_the_packet(tmp_path: Path, size: int) -> None:
    file = tmp_path / "cut.pcap"
    file.write_bytes(TRAFFIC.read_bytes()[:size])
    with pytest.raises(CaptureError, match=r"cut off inside|neither a pcap"):
        read_capture(file)


def test_no_file_and_no_capture_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="cannot be read: No such file"):
        read_capture(tmp_path / "none.pcap")
    (tmp_path / "text").write_text("nothing of the kind")
    with pytest.raises(CaptureError, match="neither a pcap nor a pcapng"):
        read_capture(tmp_path / "text")


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(KeyError), write_capture(tmp_path / "a.pcap") as writer:
        writer.write({"no": Packet(b"abc")}["packet"])
    assert not list(tmp_path.iterdir())


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damage_ends_in_a_skep_error_or_a_capture(tmp_path: Path, data: st.DataObject) -> None:
    good = data.draw(
        st.sampled_from(
            [TRAFFIC.read_bytes()[:1500], pcapng(interface(), enhanced(b"first", 1), enhanced(b"x" * 60, 2))]
        )
    )
    damaged = bytearray(good)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    file = tmp_path / "damaged"
    file.write_bytes(bytes(damaged[: data.draw(st.integers(0, len(damaged)))]))
    with contextlib.suppress(SkepError):
        read_capture(file)
