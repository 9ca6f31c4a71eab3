"""The numbers that an instruction's fields are made of.

An opcode is ``class | source | operation`` for arithmetic and jumps, and ``class | size | mode`` for loads and
stores. The names are the field's own, without the ``BPF_`` prefix. Source: RFC 9669, sections 3 to 5; the numbers
after it (``JCOND``, ``LOAD_ACQUIRE``, ``STORE_RELEASE``, ``ADDR_SPACE_CAST``) are Linux 6.9 and 6.15.
"""

from __future__ import annotations

from typing import Final

#: Instruction classes: the low three bits of an opcode.
LD: Final = 0x00
LDX: Final = 0x01
ST: Final = 0x02
STX: Final = 0x03
ALU: Final = 0x04
JMP: Final = 0x05
JMP32: Final = 0x06
ALU64: Final = 0x07
CLASS_MASK: Final = 0x07

#: Where arithmetic and conditional jumps take their right operand from: ``imm`` or the source register.
K: Final = 0x00
X: Final = 0x08
SOURCE_MASK: Final = 0x08

#: Sizes of loads and stores: 4, 2, 1 and 8 bytes.
W: Final = 0x00
H: Final = 0x08
B: Final = 0x10
DW: Final = 0x18
SIZE_MASK: Final = 0x18

#: Modes of loads and stores.
IMM: Final = 0x00
ABS: Final = 0x20
IND: Final = 0x40
MEM: Final = 0x60
MEMSX: Final = 0x80
ATOMIC: Final = 0xC0
MODE_MASK: Final = 0xE0

#: Operations of ALU and ALU64. DIV and MOD with offset 1 are signed; MOV with offset 8, 16 or 32 extends the sign.
ADD: Final = 0x00
SUB: Final = 0x10
MUL: Final = 0x20
DIV: Final = 0x30
OR: Final = 0x40
AND: Final = 0x50
LSH: Final = 0x60
RSH: Final = 0x70
NEG: Final = 0x80
MOD: Final = 0x90
XOR: Final = 0xA0
MOV: Final = 0xB0
ARSH: Final = 0xC0
END: Final = 0xD0
OPERATION_MASK: Final = 0xF0

#: Byte order of END in class ALU, in the place of the source bit: to little endian, to big endian.
TO_LE: Final = 0x00
TO_BE: Final = 0x08

#: Operations of JMP and JMP32.
JA: Final = 0x00
JEQ: Final = 0x10
JGT: Final = 0x20
JGE: Final = 0x30
JSET: Final = 0x40
JNE: Final = 0x50
JSGT: Final = 0x60
JSGE: Final = 0x70
CALL: Final = 0x80
EXIT: Final = 0x90
JLT: Final = 0xA0
JLE: Final = 0xB0
JSLT: Final = 0xC0
JSLE: Final = 0xD0
JCOND: Final = 0xE0

#: What ``imm`` of an atomic instruction selects; ADD, OR, AND and XOR above stand for themselves.
FETCH: Final = 0x01
XCHG: Final = 0xE1
CMPXCHG: Final = 0xF1
LOAD_ACQUIRE: Final = 0x100
STORE_RELEASE: Final = 0x110

#: What the source field of a wide load (opcode LDDW) says about its immediate.
LDDW: Final = LD | DW | IMM
PSEUDO_MAP_FD: Final = 1
PSEUDO_MAP_VALUE: Final = 2
PSEUDO_BTF_ID: Final = 3
PSEUDO_FUNC: Final = 4
PSEUDO_MAP_IDX: Final = 5
PSEUDO_MAP_IDX_VALUE: Final = 6

#: What the source field of a call says about its immediate: a helper, a relative subprogram, the BTF id of a kfunc.
CALL_HELPER: Final = 0
CALL_SUBPROGRAM: Final = 1
CALL_KFUNC: Final = 2

#: The offset of a 64-bit MOV that makes it a cast between address spaces.
ADDR_SPACE_CAST: Final = 1

#: Registers: r0 holds results, r1 to r5 arguments, r10 is the read-only frame pointer.
REGISTERS: Final = 11
FRAME_POINTER: Final = 10
