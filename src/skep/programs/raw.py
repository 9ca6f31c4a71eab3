"""Raw: a program over plain memory, as user-space runtimes of BPF outside Linux have it.

r1 is the address of the memory, r2 its length in bytes; the program may read and write all of it. There is no
context.
"""

from __future__ import annotations

import ctypes

from skep.objects.kinds import ProgramType
from skep.programs.kind import Output, ProgramKind


class RawKind(ProgramKind):
    """The input is the memory."""

    def buffer_size(self, length: int) -> int:
        """As long as the input, but never empty: r1 is an address even where r2 is 0."""
        self.check_length(length)
        return max(length, 8)

    def arguments(self, context: int, buffer: int, length: int) -> tuple[int, int]:
        """The memory and its length."""
        return buffer, length

    def enter(self, context: int, buffer: int, data: bytes, given: bytes = b"") -> None:
        """Copy the input to the memory; a context that is not all zeros is refused."""
        self.check_length(len(data))
        self.complete(given)
        ctypes.memmove(buffer, data, len(data))

    def leave(self, context: int, buffer: int, length: int, given: bytes = b"") -> Output:
        """The memory as the program left it."""
        return Output(ctypes.string_at(buffer, length), b"")

    def packet_bounds(self, context: int, buffer: int, length: int) -> tuple[int, int]:
        """All of the memory."""
        return buffer, buffer + length


RAW = RawKind(type=ProgramType.RAW, label="raw", largest_input=1 << 30)
