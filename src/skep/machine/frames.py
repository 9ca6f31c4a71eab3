"""The memory of one run: a context and a packet buffer, kept by each CPU and used again for every packet."""

from __future__ import annotations

from skep.memory import AddressSpace, Region, RegionKind
from skep.programs import ProgramKind

#: The context's structure is aligned as its widest member is, the packet as the kernel's pages are.
_CONTEXT_ALIGN, _PACKET_ALIGN = 64, 4096


class Frame:
    """Context and packet buffer of one CPU for one kind of program; ``require`` makes room for a longer packet."""

    def __init__(self, space: AddressSpace, kind: ProgramKind, cpu: int) -> None:
        self._space = space
        self._kind = kind
        self._cpu = cpu
        self._buffer: Region | None = None
        self._context = (
            space.allocate(f"context of CPU {cpu}", kind.native_size, RegionKind.CONTEXT, align=_CONTEXT_ALIGN)
            if kind.native_size
            else None
        )

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
