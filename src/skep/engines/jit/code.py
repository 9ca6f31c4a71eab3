"""The text of one LLVM function while it is being written, and the conversions between forms of a value."""

from __future__ import annotations

from skep.engines.jit.frame import Frame
from skep.engines.jit.values import Value


class Code:
    """Lines of the block at hand, fresh names, and :class:`Value` forms made on demand.

    ``lines`` is where instructions go; ``label`` the LLVM block they are in, which is not the BPF block any more once
    an instruction needed control flow of its own.
    """

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.lines: list[str] = []
        self.label = "entry"
        self._count = 0

    def fresh(self) -> str:
        """A name for a result that nothing else has."""
        self._count += 1
        return f"%v{self._count}"

    def emit(self, operation: str) -> str:
        """Add an instruction with a result and return the result's name."""
        self._count += 1
        name = f"%v{self._count}"
        self.lines.append(f"{name} = {operation}")
        return name

    def start(self, label: str) -> None:
        """Begin another LLVM block inside the BPF block at hand; the line before must be its terminator."""
        self.lines.append(f"{label}:")
        self.label = label

    def labels(self, *stems: str) -> tuple[str, ...]:
        """Fresh labels with readable stems."""
        self._count += 1
        return tuple(f"{stem}{self._count}" for stem in stems)

    def address(self, value: Value) -> str:
        """``value`` as an operand of type ptr."""
        if value.address is None:
            if value.frame is not None:
                return self.frame.name(value.frame, 0, written=True)
            if value.constant is not None:
                return "null" if value.constant == 0 else f"inttoptr (i64 {value.wide} to ptr)"
            value.address = self.emit(f"inttoptr i64 {self.wide(value)} to ptr")
        return value.address

    def wide(self, value: Value) -> str:
        """``value`` as an operand of type i64."""
        if value.wide is None:
            if value.word is not None:
                value.wide = self.emit(f"zext i32 {value.word} to i64")
            else:
                value.wide = self.emit(f"ptrtoint ptr {self.address(value)} to i64")
        return value.wide

    def word(self, value: Value) -> str:
        """The lower 32 bits of ``value`` as an operand of type i32."""
        if value.word is None:
            value.word = self.emit(f"trunc i64 {self.wide(value)} to i32")
        return value.word

    def narrow(self, value: Value, size: int) -> str:
        """The lower ``size`` bytes of ``value``, 1 or 2, as an operand of that type."""
        bits = 8 * size
        if value.constant is not None:
            low = value.constant & ((1 << bits) - 1)
            return str(low - (1 << bits) if low >> (bits - 1) else low)
        if value.word is not None:
            return self.emit(f"trunc i32 {value.word} to i{bits}")
        return self.emit(f"trunc i64 {self.wide(value)} to i{bits}")
