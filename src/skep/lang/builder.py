"""The text of one LLVM function while it is written: fresh names, blocks, locals in the entry block."""

from __future__ import annotations

from skep.lang.types import BoolType, Type
from skep.lang.values import Place, Value


class Builder:
    """Collects lines; knows which block it is in and whether that block has ended."""

    __slots__ = ("_count", "allocations", "block", "lines")

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.allocations: list[str] = []
        self.block = "entry"
        self._count = 0

    def label(self) -> str:
        """A fresh block name."""
        self._count += 1
        return f"b{self._count}"

    def line(self, text: str) -> None:
        """An instruction without a result."""
        self.lines.append("  " + text)

    def assign(self, text: str) -> str:
        """An instruction with a result; returns the result's name."""
        self._count += 1
        name = f"%v{self._count}"
        self.lines.append(f"  {name} = {text}")
        return name

    def name(self) -> str:
        """A fresh value name, for an instruction that is written later than it is used."""
        self._count += 1
        return f"%v{self._count}"

    def start(self, label: str) -> None:
        """Begin the block ``label``."""
        self.lines.append(label + ":")
        self.block = label

    def jump(self, label: str) -> None:
        """End the block by going to ``label``."""
        self.lines.append(f"  br label %{label}")

    def branch(self, condition: str, yes: str, no: str) -> None:
        """End the block by going to ``yes`` or ``no``."""
        self.lines.append(f"  br i1 {condition}, label %{yes}, label %{no}")

    def allocate(self, kind: Type) -> str:
        """The address of a local that lives as long as the call."""
        self._count += 1
        name = f"%v{self._count}"
        memory = "i8" if isinstance(kind, BoolType) else kind.llvm
        self.allocations.append(f"  {name} = alloca {memory}, align {kind.align}")
        return name

    def load(self, place: Place) -> Value:
        """The scalar in ``place``."""
        kind = place.type
        if isinstance(kind, BoolType):
            byte = self.assign(f"load i8, ptr {place.pointer}, align 1")
            return Value(kind, self.assign(f"icmp ne i8 {byte}, 0"))
        return Value(kind, self.assign(f"load {kind.llvm}, ptr {place.pointer}, align {place.align}"))

    def store(self, place: Place, text: str) -> None:
        """Put the scalar ``text`` into ``place``."""
        kind = place.type
        if isinstance(kind, BoolType):
            byte = text if text in ("0", "1") else ("1" if text == "true" else "0" if text == "false" else None)
            if byte is None:
                byte = self.assign(f"zext i1 {text} to i8")
            self.line(f"store i8 {byte}, ptr {place.pointer}, align 1")
        else:
            self.line(f"store {kind.llvm} {text}, ptr {place.pointer}, align {place.align}")
