"""BPF instructions: values, the table of their encodings and meanings, assembly in both dialects (RFC 9669)."""

from skep.isa.instruction import Instruction, Instructions, wide_immediate

__all__ = ["Instruction", "Instructions", "wide_immediate"]
