"""Packet captures: pcap files (through dpkt) and pcapng files (through python-pcapng) to packets in memory and back.

Timestamps are kept in whole nanoseconds since 1970, whatever the resolution of the file. A capture that ends in the
middle of a packet is an error that names the packet, not a shorter capture: the libraries would pass over it, so
every read they make is checked here.
"""

from __future__ import annotations

import contextlib
import os
import struct
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any

from skep.errors import CaptureError

#: Link-layer header types (the tcpdump project's LINKTYPE list) that programs can be given.
ETHERNET = 1
#: Bare IP packets, by the numbers that different systems write.
RAW_IP = frozenset({12, 14, 101, 228, 229})

_LINK_NAMES = {
    0: "BSD loopback",
    ETHERNET: "Ethernet",
    12: "raw IP",
    101: "raw IP",
    105: "802.11",
    113: "Linux cooked",
    127: "802.11 with radiotap",
    228: "raw IPv4",
    229: "raw IPv6",
    276: "Linux cooked v2",
}


_PCAPNG_MAGIC = b"\x0a\x0d\x0d\x0a"
#: Micro- and nanosecond pcap in both byte orders, and Kuznetzov's variant with longer record headers.
_PCAP_MAGICS = {
    magic.to_bytes(4, order) for magic in (0xA1B2C3D4, 0xA1B23C4D, 0xA1B2CD34) for order in ("little", "big")
}
#: What the pcapng library lets through on damaged files beside its own exceptions.
_PCAPNG_SURPRISES = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    struct.error,
    ArithmeticError,
    MemoryError,
)


@dataclass(frozen=True, slots=True)
class Packet:
    """One captured frame: its bytes from the link-layer header on, and when it was seen (nanoseconds since 1970)."""

    data: bytes
    time: int = 0


@dataclass(frozen=True, slots=True)
class Capture:
    """The packets of one file, in its order; ``link`` is the LINKTYPE number they all have."""

    file: str
    link: int
    packets: Sequence[Packet]

    @property
    def link_name(self) -> str:
        """What the link type is called."""
        return link_name(self.link)


def link_name(link: int) -> str:
    """The name of a LINKTYPE number, for messages."""
    return _LINK_NAMES.get(link, f"link type {link}")


class _CompleteReads:
    """A file that gives all the bytes asked for or raises, save none at ``boundary``, where a record may begin."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file = file
        self.size = os.fstat(file.fileno()).st_size
        self.packets = 0
        self.boundary = -1
        self.name = name

    def read(self, size: int = -1) -> bytes:
        start = self._file.tell()
        if size > self.size - start and not start == self.size == self.boundary:
            place = f"packet {self.packets + 1}" if start else "its file header"
            raise CaptureError(
                f"the capture is cut off inside {place}: {size} bytes are needed "
                f"and {self.size - start} are left; copy the file again or repair it with 'editcap'",
                file=self.name,
                offset=start,
            )
        return self._file.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


def read_capture(path: str | os.PathLike[str]) -> Capture:
    """Read a whole pcap or pcapng file (micro- or nanoseconds, either byte order).

    Raises CaptureError where it is missing, is neither format, is cut off, or mixes link types.
    """
    name = os.fspath(path)
    try:
        with open(name, "rb") as file:
            return _read(_CompleteReads(file, name))
    except OSError as error:
        raise CaptureError(f"the capture cannot be read: {error.strerror}", file=name) from None


def _read(file: _CompleteReads) -> Capture:
    if not file.size:
        raise CaptureError("the capture is empty: not even a file header is there", file=file.name)
    magic = file.read(min(4, file.size))
    file.seek(0)
    if magic == _PCAPNG_MAGIC:
        return _read_pcapng(file)
    if magic in _PCAP_MAGICS:
        return _read_pcap(file)
    raise CaptureError(f"this is neither a pcap nor a pcapng file: it begins with {magic.hex(' ')}", file=file.name)


def _damaged(file: _CompleteReads, error: Exception) -> CaptureError:
    return CaptureError(
        f"the capture is damaged after packet {file.packets}: {error or type(error).__name__}", file=file.name
    )


def _read_pcap(file: _CompleteReads) -> Capture:
    import dpkt

    packets: list[Packet] = []
    try:
        reader = dpkt.pcap.Reader(file)
        # The upper half says how long a checksum ends each frame.
        link = int(reader.datalink()) & 0xFFFF
        file.boundary = file.tell()
        for time, data in reader:
            # Microseconds come as a float, exact to a quarter of one in this century; nanoseconds as a Decimal.
            exact = round(time * 1_000_000) * 1000 if isinstance(time, float) else int(time * 1_000_000_000)
            packets.append(Packet(bytes(data), exact))
            file.packets += 1
            file.boundary = file.tell()
    except (ValueError, dpkt.Error, struct.error, ArithmeticError) as error:
        raise _damaged(file, error) from None
    return Capture(file.name, link, packets)


def _read_pcapng(file: _CompleteReads) -> Capture:
    import pcapng
    from pcapng import blocks

    packets: list[Packet] = []
    links: set[int] = set()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the library warns of its own deprecations
            for block in pcapng.FileScanner(file):
                file.boundary = file.tell()
                if not isinstance(block, (blocks.EnhancedPacket, blocks.SimplePacket, blocks.ObsoletePacket)):
                    continue
                interface = block.interface
                links.add(int(interface.link_type))
                packets.append(Packet(bytes(block.packet_data), _pcapng_time(block, interface)))
                file.packets += 1
    except (pcapng.exceptions.PcapngException, *_PCAPNG_SURPRISES) as error:
        raise _damaged(file, error) from None
    if len(links) > 1:
        names = ", ".join(sorted(link_name(link) for link in links))
        raise CaptureError(
            f"the capture mixes link types ({names}); split it with one file an interface first", file=file.name
        )
    return Capture(file.name, links.pop() if links else ETHERNET, packets)


def _pcapng_time(block: Any, interface: Any) -> int:
    """When a block's packet was seen, in whole nanoseconds; 0 for the blocks that do not say."""
    if not hasattr(type(block), "timestamp"):
        return 0
    ticks: int = block.timestamp_high << 32 | block.timestamp_low
    options = interface.options
    # if_tsresol: a negative power of ten, or of two where the top bit is set. if_tsoffset: whole seconds.
    resolution: int = options["if_tsresol"][0] if "if_tsresol" in options else 6
    per_second: int = 2 ** (resolution & 0x7F) if resolution & 0x80 else 10**resolution
    offset = int(options["if_tsoffset"]) if "if_tsoffset" in options else 0
    return offset * 1_000_000_000 + ticks * 1_000_000_000 // per_second


@contextlib.contextmanager
def write_capture(path: str | os.PathLike[str], link: int = ETHERNET) -> Iterator[CaptureWriter]:
    """Write a nanosecond pcap file, which appears under its name only when the ``with`` ends well."""
    name = os.fspath(path)
    temporary = f"{name}.{os.getpid()}.part"
    try:
        with open(temporary, "wb") as file:
            yield CaptureWriter(file, link)
        os.replace(temporary, name)
    except OSError as error:
        raise CaptureError(f"the capture cannot be written: {error.strerror}", file=name) from None
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)


class CaptureWriter:
    """Appends packets to an open capture file."""

    def __init__(self, file: IO[bytes], link: int) -> None:
        import dpkt

        self._writer = dpkt.pcap.Writer(file, nano=True, linktype=link, snaplen=262144)

    def write(self, packet: Packet) -> None:
        """Append one packet."""
        from decimal import Decimal

        # The file has 32 bits for the seconds: the year 2106 begins again at 1970.
        time = packet.time % (1_000_000_000 << 32)
        self._writer.writepkt(packet.data, ts=Decimal(time) / 1_000_000_000)
