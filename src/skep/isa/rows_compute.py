"""Rows of the instruction table that compute, jump and call.

Sources: RFC 9669, sections 4.1 to 4.3; see :mod:`skep.isa.table` for the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

from skep.isa import meaning, opcodes
from skep.isa.row import RegisterRole, Row, Selector

#: name, operation code, operator of the kernel dialect, offset that selects it, first mcpu, first Linux
_ARITHMETIC: Final = (
    ("add", opcodes.ADD, "+=", 0, 1, "3.18"),
    ("sub", opcodes.SUB, "-=", 0, 1, "3.18"),
    ("mul", opcodes.MUL, "*=", 0, 1, "3.18"),
    ("div", opcodes.DIV, "/=", 0, 1, "3.18"),
    ("sdiv", opcodes.DIV, "s/=", 1, 4, "6.6"),
    ("or", opcodes.OR, "|=", 0, 1, "3.18"),
    ("and", opcodes.AND, "&=", 0, 1, "3.18"),
    ("lsh", opcodes.LSH, "<<=", 0, 1, "3.18"),
    ("rsh", opcodes.RSH, ">>=", 0, 1, "3.18"),
    ("mod", opcodes.MOD, "%=", 0, 1, "3.18"),
    ("smod", opcodes.MOD, "s%=", 1, 4, "6.6"),
    ("xor", opcodes.XOR, "^=", 0, 1, "3.18"),
    ("mov", opcodes.MOV, "=", 0, 1, "3.18"),
    ("arsh", opcodes.ARSH, "s>>=", 0, 1, "3.18"),
)

#: name, operation code, operator, first mcpu, first Linux of the 64-bit form
_CONDITIONS: Final = (
    ("eq", opcodes.JEQ, "==", 1, "3.18"),
    ("gt", opcodes.JGT, ">", 1, "3.18"),
    ("ge", opcodes.JGE, ">=", 1, "3.18"),
    ("set", opcodes.JSET, "&", 1, "3.18"),
    ("ne", opcodes.JNE, "!=", 1, "3.18"),
    ("sgt", opcodes.JSGT, "s>", 1, "3.18"),
    ("sge", opcodes.JSGE, "s>=", 1, "3.18"),
    ("lt", opcodes.JLT, "<", 2, "4.14"),
    ("le", opcodes.JLE, "<=", 2, "4.14"),
    ("slt", opcodes.JSLT, "s<", 2, "4.14"),
    ("sle", opcodes.JSLE, "s<=", 2, "4.14"),
)

_ARGUMENTS: Final = (1, 2, 3, 4, 5)
_SCRATCH: Final = (0, 1, 2, 3, 4, 5)


def arithmetic() -> Iterator[Row]:
    """Arithmetic of 64 and 32 bits, negation, and moves that extend the sign."""
    for width in (64, 32):
        klass, r, suffix = (opcodes.ALU64, "", "") if width == 64 else (opcodes.ALU, "32", "32")
        aliases = ("64",) if width == 64 else ()
        for name, code, operator, offset, mcpu, linux in _ARITHMETIC:
            mcpu = max(mcpu, 1 if width == 64 else 3)
            selects: Selector = "offset" if name in ("div", "sdiv", "mod", "smod", "mov") else ""
            reads: tuple[RegisterRole, ...] = () if name == "mov" else ("dst",)
            for operand in ("imm", "src"):
                right = "{imm}" if operand == "imm" else f"{{src{r}}}"
                text = f"{{dst{r}}} {operator} {right}"
                # LLVM's compiler, though not its assembler, writes r1 = w2 for a 32-bit move it needs as 64 bits.
                also = ("{dst} = {src32}",) if name == "mov" and width == 32 and operand == "src" else ()
                yield Row(
                    name=f"{name}{width}_{'imm' if operand == 'imm' else 'reg'}",
                    opcode=klass | code | (opcodes.K if operand == "imm" else opcodes.X),
                    meaning=meaning.alu(name, width),
                    kernel=(text, *also),
                    mnemonic=tuple(f"{name}{s} {{dst}}, {right.replace('32', '')}" for s in (suffix, *aliases)),
                    log=text,
                    dst=None,
                    src=None if operand == "src" else 0,
                    offset=offset,
                    imm=None if operand == "imm" else 0,
                    selector=selects,
                    operand="src" if operand == "src" else "imm",
                    reads=(*reads, "src") if operand == "src" else reads,
                    writes=("dst",),
                    mcpu=mcpu,
                    # The 32-bit one was refused from 4.16 to 4.20, and did not keep the sign before.
                    linux="5.0" if name == "arsh" and width == 32 else linux,
                )
        text = f"{{dst{r}}} = -{{dst{r}}}"
        yield Row(
            name=f"neg{width}",
            opcode=klass | opcodes.NEG,
            meaning=meaning.alu("neg", width),
            kernel=(text,),
            mnemonic=tuple(f"neg{s} {{dst}}" for s in (suffix, *aliases)),
            log=text,
            dst=None,
            reads=("dst",),
            writes=("dst",),
            mcpu=1 if width == 64 else 3,
        )
        for bits in (8, 16) if width == 32 else (8, 16, 32):
            text = f"{{dst{r}}} = (s{bits}){{src{r}}}"
            yield Row(
                name=f"movsx{bits}_{width}",
                opcode=klass | opcodes.MOV | opcodes.X,
                meaning=meaning.sign_extending_move(bits, width),
                kernel=(text,),
                mnemonic=(f"movsx{bits}{width} {{dst}}, {{src}}",),
                log=text,
                dst=None,
                src=None,
                offset=bits,
                selector="offset",
                operand="src",
                reads=("src",),
                writes=("dst",),
                mcpu=4,
                linux="6.6",
            )


def swaps() -> Iterator[Row]:
    """Byte swaps: to little endian, to big endian, unconditional."""
    for bits in (16, 32, 64):
        for name, opcode, mcpu, linux in (
            ("le", opcodes.ALU | opcodes.END | opcodes.TO_LE, 1, "3.18"),
            ("be", opcodes.ALU | opcodes.END | opcodes.TO_BE, 1, "3.18"),
            ("bswap", opcodes.ALU64 | opcodes.END, 4, "6.6"),
        ):
            operation: Literal["le", "be", "bswap"] = "le" if name == "le" else "be" if name == "be" else "bswap"
            text = f"{{dst}} = {name}{bits} {{dst}}"
            yield Row(
                name=f"{name}{bits}",
                opcode=opcode,
                meaning=meaning.Swap(operation, bits),
                kernel=(text,),
                mnemonic=(f"{name}{bits} {{dst}}",)
                if name != "bswap"
                else (f"bswap{bits} {{dst}}", f"swap{bits} {{dst}}"),
                log=text,
                dst=None,
                imm=bits,
                selector="imm",
                reads=("dst",),
                writes=("dst",),
                mcpu=mcpu,
                linux=linux,
            )


def cast() -> Row:
    """The cast between address spaces, a 64-bit move with offset 1."""
    text = "{dst} = addr_space_cast({src}, {to}, {from})"
    return Row(
        name="addr_space_cast",
        opcode=opcodes.ALU64 | opcodes.MOV | opcodes.X,
        meaning=meaning.AddressSpaceCast(),
        kernel=(text,),
        mnemonic=("addr_space_cast {dst}, {src}, {to}, {from}",),
        log=text,
        dst=None,
        src=None,
        offset=opcodes.ADDR_SPACE_CAST,
        imm=None,
        selector="offset",
        reads=("src",),
        writes=("dst",),
        mcpu=4,
        linux="6.9",
    )


def jumps() -> Iterator[Row]:
    """Unconditional, conditional and may_goto jumps."""
    for far, opcode in ((False, opcodes.JMP | opcodes.JA), (True, opcodes.JMP32 | opcodes.JA)):
        text = "gotol {far}" if far else "goto {target}"
        yield Row(
            name="gotol" if far else "goto",
            opcode=opcode,
            meaning=meaning.Goto(far),
            kernel=(text,),
            mnemonic=("ja32 {far}",) if far else ("ja {target}",),
            log=text,
            offset=0 if far else None,
            imm=None if far else 0,
            mcpu=4 if far else 1,
            linux="6.6" if far else "3.18",
        )
    for width in (64, 32):
        klass, r, suffix = (opcodes.JMP, "", "") if width == 64 else (opcodes.JMP32, "32", "32")
        aliases = ("64",) if width == 64 else ()
        for name, code, operator, mcpu, linux in _CONDITIONS:
            for operand in ("imm", "src"):
                text = (
                    f"if {{dst{r}}} {operator} {'{compared}' if operand == 'imm' else f'{{src{r}}}'} goto {{target}}"
                )
                right = "{compared}" if operand == "imm" else "{src}"
                yield Row(
                    name=f"j{name}{width}_{'imm' if operand == 'imm' else 'reg'}",
                    opcode=klass | code | (opcodes.K if operand == "imm" else opcodes.X),
                    meaning=meaning.branch(name, width),
                    kernel=(text,),
                    mnemonic=tuple(f"j{name}{s} {{dst}}, {right}, {{target}}" for s in (suffix, *aliases)),
                    log=text,
                    dst=None,
                    src=None if operand == "src" else 0,
                    offset=None,
                    imm=None if operand == "imm" else 0,
                    operand="src" if operand == "src" else "imm",
                    reads=("dst", "src") if operand == "src" else ("dst",),
                    mcpu=mcpu if width == 64 else 3,
                    linux=linux if width == 64 else "5.1",
                )
    yield Row(
        name="may_goto",
        opcode=opcodes.JMP | opcodes.JCOND,
        meaning=meaning.MayGoto(),
        kernel=("may_goto {target}",),
        mnemonic=("may_goto {target}",),
        log="may_goto {target}",
        offset=None,
        selector="src",
        mcpu=4,
        linux="6.9",
    )


def calls() -> Iterator[Row]:
    """Calls of helpers, subprograms, kfuncs and registers, and the return."""
    call = opcodes.JMP | opcodes.CALL
    yield Row(
        name="call_helper",
        opcode=call,
        meaning=meaning.Call("helper"),
        kernel=("call {helper}",),
        mnemonic=("call {helper}", "call helper {helper}"),
        log="call {helper}",
        imm=None,
        selector="src",
        reads=_ARGUMENTS,
        writes=_SCRATCH,
    )
    yield Row(
        name="call_subprogram",
        opcode=call,
        meaning=meaning.Call("subprogram"),
        kernel=("call {callee}",),
        mnemonic=("call local {far}",),
        log="call {callee}",
        src=opcodes.CALL_SUBPROGRAM,
        imm=None,
        selector="src",
        reads=_ARGUMENTS,
        writes=_SCRATCH,
        linux="4.16",
    )
    yield Row(
        name="call_kfunc",
        opcode=call,
        meaning=meaning.Call("kfunc"),
        kernel=("call {kfunc}",),
        mnemonic=("call {kfunc}", "call runtime {imm}"),
        log="call {kfunc}",
        src=opcodes.CALL_KFUNC,
        offset=None,
        imm=None,
        selector="src",
        reads=_ARGUMENTS,
        writes=_SCRATCH,
        linux="5.13",
    )
    yield Row(
        name="callx",
        opcode=call | opcodes.X,
        meaning=meaning.Call("register"),
        kernel=("callx {dst}",),
        mnemonic=("callx {dst}", "call {dst}"),
        log="callx {dst}",
        dst=None,
        reads=("dst", *_ARGUMENTS),
        writes=_SCRATCH,
        linux=None,
    )
    yield Row(
        name="exit",
        opcode=opcodes.JMP | opcodes.EXIT,
        meaning=meaning.Exit(),
        kernel=("exit",),
        mnemonic=("exit",),
        log="exit",
        reads=(0,),
    )
