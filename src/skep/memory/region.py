"""Regions: named, bounded pieces of real memory, and the address space that finds them by address.

Every engine puts real addresses of this process into registers. Code that the verifier has accepted uses them without
asking; the interpreter asks :meth:`AddressSpace.find` before every access, and so runs any code safely.

A region may be made of equal elements that lie ``stride`` bytes apart, of which only the first ``element_size`` bytes
belong to the program (the values of a map, between which keys and bookkeeping lie): then an access must stay within
one element. Memory that an address space allocates is zeroed, aligned, and alive until its region is removed or the
space is closed.
"""

from __future__ import annotations

import ctypes
import mmap
from bisect import bisect_right
from dataclasses import dataclass, field
from enum import StrEnum
from threading import Lock
from types import TracebackType

from skep.errors import RequestError

#: Memory of this process alone, which may be more than there is while it is not touched; most of a large map is not.
_MAP_FLAGS = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)

#: From this size on memory comes from the kernel page by page, so that what is never touched costs nothing.
_MAP_FROM = 1 << 16


class RegionKind(StrEnum):
    """What a region is to a program; the label is what a fault message calls it."""

    STACK = "stack"
    CONTEXT = "context"
    PACKET = "packet"
    MAP_VALUE = "map value"
    MAP = "map"
    MEMORY = "memory"
    CPU = "cpu"


@dataclass(frozen=True, slots=True)
class Region:
    """``size`` bytes of memory at ``address``, both in bytes; ``writable`` says whether a program may store there.

    ``stride`` 0 means one undivided piece; otherwise elements of ``element_size`` bytes begin every ``stride`` bytes.
    """

    name: str
    address: int
    size: int
    kind: RegionKind = RegionKind.MEMORY
    writable: bool = True
    stride: int = 0
    element_size: int = 0
    #: One past the last byte, kept because the interpreter compares with it at every access.
    end: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "end", self.address + self.size)

    def holds(self, address: int, size: int = 1) -> bool:
        """Whether ``size`` bytes at ``address`` lie inside, and inside one element where there are elements."""
        if address < self.address or address + size > self.end:
            return False
        return not self.stride or (address - self.address) % self.stride + size <= self.element_size

    def describe(self, address: int) -> str:
        """Where ``address`` lies relative to this region, for a message: ``8 bytes past the end of stack "main"``."""
        name = f'{self.kind.value} "{self.name}" ({self.size} bytes at {self.address:#x})'
        if address < self.address:
            return f"{_bytes(self.address - address)} before {name}"
        if address >= self.end:
            distance = address - self.end
            return f"{_bytes(distance)} past the end of {name}" if distance else f"just past the end of {name}"
        if self.stride:
            element, offset = divmod(address - self.address, self.stride)
            return f"at offset {offset} of element {element} ({_bytes(self.element_size)} long) of {name}"
        return f"at offset {address - self.address} of {name}"

    def read(self, offset: int = 0, size: int | None = None) -> bytes:
        """A copy of ``size`` bytes at ``offset`` (to the end if None). Raises RequestError outside the region."""
        return ctypes.string_at(self.address + offset, self._extent(offset, size))

    def write(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Store ``data`` at ``offset``, whatever the program's own rights. Raises RequestError outside the region."""
        self._extent(offset, len(data))
        ctypes.memmove(self.address + offset, bytes(data), len(data))

    def view(self, offset: int = 0, size: int | None = None) -> memoryview:
        """The bytes themselves, not a copy; usable only while the memory is alive."""
        size = self._extent(offset, size)
        return memoryview((ctypes.c_ubyte * size).from_address(self.address + offset)).cast("B")

    def _extent(self, offset: int, size: int | None) -> int:
        if size is None:
            size = self.size - offset
        if offset < 0 or size < 0 or offset + size > self.size:
            raise RequestError(
                f'{_bytes(size)} at offset {offset} do not lie in {self.kind.value} "{self.name}", '
                f"which has {_bytes(self.size)}"
            )
        return size


class AddressSpace:
    """All regions that programs of one machine may touch, found by address; regions never overlap.

    Changes are made one at a time and replace the sorted tables as a whole, so that interpreters on other threads
    always see a consistent pair.
    """

    def __init__(self) -> None:
        self._tables: tuple[list[int], list[Region]] = ([], [])
        self._last: Region | None = None
        self._memory: dict[int, object] = {}
        self._changing = Lock()

    def __enter__(self) -> AddressSpace:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def regions(self) -> tuple[Region, ...]:
        """All regions by rising address."""
        return tuple(self._tables[1])

    def add(self, region: Region) -> Region:
        """Make ``region`` known and return it. Raises RequestError if it is empty or overlaps one that is known."""
        if region.size <= 0:
            raise RequestError(f'the {region.kind.value} "{region.name}" has no bytes and cannot be a region')
        with self._changing:
            self._insert(region)
        return region

    def _insert(self, region: Region) -> None:
        starts, regions = self._tables
        place = bisect_right(starts, region.address)
        for neighbour in regions[max(place - 1, 0) : place + 1]:
            if neighbour.address < region.end and region.address < neighbour.end:
                raise RequestError(
                    f'the {region.kind.value} "{region.name}" at {region.address:#x} overlaps '
                    f'the {neighbour.kind.value} "{neighbour.name}" at {neighbour.address:#x}'
                )
        self._tables = (
            [*starts[:place], region.address, *starts[place:]],
            [*regions[:place], region, *regions[place:]],
        )

    def remove(self, region: Region) -> None:
        """Forget ``region``; memory that :meth:`allocate` gave it is released. Raises RequestError if unknown."""
        with self._changing:
            starts, regions = self._tables
            place = bisect_right(starts, region.address) - 1
            if place < 0 or regions[place].address != region.address:
                raise RequestError(f'the {region.kind.value} "{region.name}" is not in this address space')
            self._tables = ([*starts[:place], *starts[place + 1 :]], [*regions[:place], *regions[place + 1 :]])
            self._last = None
        self._memory.pop(region.address, None)

    def find(self, address: int, size: int = 1) -> Region | None:
        """The region that holds all ``size`` bytes at ``address``, or None."""
        last = self._last
        if last is not None and last.address <= address and address + size <= last.end:
            return last if not last.stride or last.holds(address, size) else None
        starts, regions = self._tables
        place = bisect_right(starts, address) - 1
        if place < 0:
            return None
        region = regions[place]
        if address + size > region.end:
            return None
        self._last = region
        return region if not region.stride or region.holds(address, size) else None

    def nearest(self, address: int) -> Region | None:
        """The region whose bounds are closest to ``address`` (the one around it if any); None if there is none."""
        starts, regions = self._tables
        place = bisect_right(starts, address)
        around = regions[max(place - 1, 0) : place + 1]
        return min(around, key=lambda r: max(r.address - address, address - r.end + 1, 0), default=None)

    def allocate(
        self,
        name: str,
        size: int,
        kind: RegionKind = RegionKind.MEMORY,
        *,
        writable: bool = True,
        align: int = 64,
        stride: int = 0,
        element_size: int = 0,
    ) -> Region:
        """A new region of zeroed memory whose address is a multiple of ``align``, a power of two up to 4096."""
        address, owner = allocate_zeroed(size, align)
        region = self.add(Region(name, address, size, kind, writable, stride, element_size))
        self._memory[address] = owner
        return region

    def close(self) -> None:
        """Forget every region and release all memory that was allocated here."""
        self._tables = ([], [])
        self._last = None
        self._memory.clear()


def allocate_zeroed(size: int, align: int = 64) -> tuple[int, object]:
    """Zeroed memory: its address, and the object that keeps it alive. Raises RequestError on bad arguments."""
    if size <= 0:
        raise RequestError(f"{size} bytes of memory cannot be allocated; the size must be positive")
    if align & (align - 1) or not 0 < align <= mmap.PAGESIZE:
        raise RequestError(f"memory cannot be aligned to {align} bytes; use a power of two up to {mmap.PAGESIZE}")
    try:
        if size >= _MAP_FROM:
            pages = mmap.mmap(-1, size, flags=_MAP_FLAGS)
            return ctypes.addressof(ctypes.c_char.from_buffer(pages)), pages
        plain = (ctypes.c_char * (size + align))()
    except (OSError, MemoryError, OverflowError):
        raise RequestError(f"this system does not have {size} bytes of memory to give; use smaller sizes") from None
    return -(-ctypes.addressof(plain) // align) * align, plain


def _bytes(count: int) -> str:
    return "1 byte" if count == 1 else f"{count} bytes"
