"""A function's stack frame as separate pieces of LLVM memory.

LLVM keeps spilled registers in registers only while no address of their memory escapes. Programs hand out addresses
of keys and buffers in the same 512 bytes all the time. So the frame becomes one alloca for each set of bytes that
belong together: bytes that one access touches, or that are handed out together. A *flat* frame, of which some access
or address is not known well enough, is a single piece.
"""

from __future__ import annotations


class Frame:
    """The bytes below r10, collected while a function is translated; offsets are negative."""

    def __init__(self, flat: bool, size: int) -> None:
        self.flat = flat
        self.size = size
        self._ranges: set[tuple[int, int]] = set()
        self._unwritten: set[tuple[int, int]] = set()

    def name(self, offset: int, size: int, *, written: bool) -> str:
        """The operand that is the address of ``size`` bytes at ``offset``; ``written`` if they surely have been."""
        self._ranges.add((offset, max(size, 1)))
        if not written:
            self._unwritten.add((offset, size))
        return f"%s{-offset}"

    def declarations(self) -> list[str]:
        """The lines of the entry block that make the pieces.

        Bytes that may be read before they are written are zeroed: LLVM may do what it likes with a program that
        branches on memory it never wrote, BPF may not.
        """
        lines: list[str] = []
        names = sorted({offset for offset, _ in self._ranges})
        for start, end in self._pieces():
            # Each piece begins at a multiple of 16 below r10, so that its bytes are aligned as they are in BPF.
            base = start & -16
            piece = f"%piece{-start}"
            size = max(end - base, 1)
            lines.append(f"{piece} = alloca [{size} x i8], align 16")
            if any(offset < end and offset + length > start for offset, length in self._unwritten):
                lines.append(f"call void @llvm.memset.p0.i64(ptr align 16 {piece}, i8 0, i64 {size}, i1 false)")
            for offset in names:
                # An address that only is computed with may lie outside, and belongs to a flat frame all the same.
                if self.flat or start <= offset < end:
                    lines.append(f"%s{-offset} = getelementptr i8, ptr {piece}, i64 {offset - base}")
        return lines

    def _pieces(self) -> list[tuple[int, int]]:
        if not self._ranges:
            return []
        if self.flat:
            return [(-self.size, 1)]
        pieces: list[tuple[int, int]] = []
        for offset, size in sorted(self._ranges):
            end = offset + size
            if pieces and offset < pieces[-1][1]:
                pieces[-1] = (pieces[-1][0], max(end, pieces[-1][1]))
            else:
                pieces.append((offset, end))
        return pieces
