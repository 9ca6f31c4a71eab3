"""The memory of one run: a context and a packet buffer, kept by each CPU and used again for every packet."""

from __future__ import annotations

from skep.memory import AddressSpace, Region, RegionKind, allocate_zeroed
from skep.programs import ProgramKind

#: Contexts stand far enough apart that no CPU's prefetcher takes the lines that another CPU writes; packets begin as
#: the kernel's pages do.
_CONTEXT_ALIGN, _PACKET_ALIGN = 256, 4096


class Frame:
    """Context and packet buffer of one CPU for one kind of program; ``require`` makes room for a longer packet."""

    def __init__(self, space: AddressSpace, kind: ProgramKind, cpu: int) -> None:
        self._space = space
        self._kind = kind
        self._cpu = cpu
        self._buffer: Region | None = None
        self._context: Region | None = None
        if kind.native_size:
            padded = -(-kind.native_size // _CONTEXT_ALIGN) * _CONTEXT_ALIGN
            address, self._memory = allocate_zeroed(padded, _CONTEXT_ALIGN)
            self._context = space.add(Region(f"context of CPU {cpu}", address, kind.native_size, RegionKind.CONTEXT))

    @property
    def context(self) -> int:
        """The address of the native context, 0 where the kind has none."""
        return self._context.address if self._context else 0

    def require(self, length: int) -> int:
        """The address of a packet buffer that takes ``length`` bytes of input, and all that helpers may add to it."""
        size = self._kind.buffer_size(length)
        if self._buffer is None or self._buffer.size < size:
            if self._buffer is not None:
                self._space.remove(self._buffer)
            self._buffer = self._space.allocate(
                f"packet of CPU {self._cpu}", size, RegionKind.PACKET, align=_PACKET_ALIGN
            )
        return self._buffer.address

    def close(self) -> None:
        """Give the memory back."""
        for region in (self._context, self._buffer):
            if region is not None:
                self._space.remove(region)
        self._context = self._buffer = None
