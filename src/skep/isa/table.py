"""The table of instructions: a row each, with its encoding, its text in both dialects, its age and its meaning.

A row fixes some fields of a slot and leaves others free. An instruction belongs to the row of its opcode whose fixed
*selecting* field it carries: the immediate for atomics and byte swaps, the offset for division and moves, the source
field for wide loads and calls. Fixed fields that do not select are reserved: they must hold what the row says,
mostly 0. Assembler, disassembler, encoder, engines and verifier all read this table and nothing beside it.

Text forms are templates: words, and placeholders that :mod:`skep.isa.templates` documents. The first form of a
dialect is the one that is written, all are read. ``log`` is how the kernel's verifier log and ``bpftool prog dump
xlated`` write the instruction, where that differs by more than spacing and number formats.

Sources: RFC 9669, sections 4 and 5; LLVM 22's assembler for the kernel dialect; the public bpf_conformance suite and
ubpf for the mnemonic one, with names made up for what has none there (packet loads, acquire and release). ``linux``
is the first release whose verifier accepts the form, ``mcpu`` the first ``-mcpu`` for which LLVM generates it
(its assembler accepts every form at any setting); None where neither ever does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from skep.isa import meaning, opcodes
from skep.isa.instruction import Instruction
from skep.isa.meaning import Meaning

#: A register that an instruction reads or writes: by the field that names it, or by number.
RegisterRole = Literal["dst", "src"] | int

Selector = Literal["", "src", "offset", "imm"]


@dataclass(frozen=True, slots=True)
class Row:
    """One instruction. In ``dst``, ``src``, ``offset``, ``imm`` None is a free field and a number a fixed one.

    ``selector`` names the field that tells rows of one opcode apart, "" where the opcode is enough.
    ``high`` is the second slot's immediate of a wide load: None free, 0 fixed. ``operand`` says whether the right
    operand of arithmetic, a comparison or a store is the source register or the immediate.
    """

    name: str
    opcode: int
    meaning: Meaning
    kernel: tuple[str, ...]
    mnemonic: tuple[str, ...]
    log: str
    dst: int | None = 0
    src: int | None = 0
    offset: int | None = 0
    imm: int | None = 0
    high: int | None = 0
    selector: Selector = ""
    operand: Literal["src", "imm"] | None = None
    reads: tuple[RegisterRole, ...] = ()
    writes: tuple[RegisterRole, ...] = ()
    mcpu: int | None = 1
    linux: str | None = "3.18"

    @property
    def is_wide(self) -> bool:
        """Whether the instruction takes two slots."""
        return isinstance(self.meaning, meaning.WideLoad)

    @property
    def is_jump(self) -> bool:
        """Whether control may go elsewhere than to the next instruction and stay in the function."""
        return isinstance(self.meaning, meaning.Branch | meaning.Goto | meaning.MayGoto)


_SIZES: Final = ((1, opcodes.B, "b"), (2, opcodes.H, "h"), (4, opcodes.W, "w"), (8, opcodes.DW, "dw"))

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

_ATOMIC_OPERATORS: Final = (
    ("add", opcodes.ADD, "+="),
    ("or", opcodes.OR, "|="),
    ("and", opcodes.AND, "&="),
    ("xor", opcodes.XOR, "^="),
)

_ARGUMENTS: Final = (1, 2, 3, 4, 5)
_SCRATCH: Final = (0, 1, 2, 3, 4, 5)


def _arithmetic() -> Iterator[Row]:
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
                    linux=linux,
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


def _swaps() -> Iterator[Row]:
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


def _cast() -> Row:
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


def _jumps() -> Iterator[Row]:
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


def _calls() -> Iterator[Row]:
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


def _loads_and_stores() -> Iterator[Row]:
    for size, code, letter in _SIZES:
        bits = size * 8
        narrow = size < 8
        text = f"{{dst}} = *(u{bits} *)({{src}} {{off}})"
        yield Row(
            name=f"ldx_u{bits}",
            opcode=opcodes.LDX | opcodes.MEM | code,
            meaning=meaning.Load(size),
            kernel=(text, text.replace("{dst}", "{dst32}")) if narrow else (text,),
            mnemonic=(f"ldx{letter} {{dst}}, [{{src}}{{off}}]",),
            log=text,
            dst=None,
            src=None,
            offset=None,
            reads=("src",),
            writes=("dst",),
        )
        if narrow:
            text = f"{{dst}} = *(s{bits} *)({{src}} {{off}})"
            yield Row(
                name=f"ldx_s{bits}",
                opcode=opcodes.LDX | opcodes.MEMSX | code,
                meaning=meaning.Load(size, is_signed=True),
                kernel=(text,),
                mnemonic=(f"ldxs{letter} {{dst}}, [{{src}}{{off}}]",),
                log=text,
                dst=None,
                src=None,
                offset=None,
                reads=("src",),
                writes=("dst",),
                mcpu=4,
                linux="6.6",
            )
        text = f"*(u{bits} *)({{dst}} {{off}}) = {{imm}}"
        yield Row(
            name=f"st_u{bits}",
            opcode=opcodes.ST | opcodes.MEM | code,
            meaning=meaning.Store(size),
            kernel=(text,),
            mnemonic=(f"st{letter} [{{dst}}{{off}}], {{imm}}",),
            log=text,
            dst=None,
            offset=None,
            imm=None,
            operand="imm",
            reads=("dst",),
            mcpu=4,
        )
        text = f"*(u{bits} *)({{dst}} {{off}}) = {{src}}"
        yield Row(
            name=f"stx_u{bits}",
            opcode=opcodes.STX | opcodes.MEM | code,
            meaning=meaning.Store(size),
            kernel=(text, text.replace("{src}", "{src32}")) if narrow else (text,),
            mnemonic=(f"stx{letter} [{{dst}}{{off}}], {{src}}",),
            log=text,
            dst=None,
            src=None,
            offset=None,
            operand="src",
            reads=("dst", "src"),
        )
        r = "32" if narrow else ""
        text = f"{{dst{r}}} = load_acquire((u{bits} *)({{src}} {{off}}))"
        log = text.replace("32}", "}")
        yield Row(
            name=f"load_acquire{bits}",
            opcode=opcodes.STX | opcodes.ATOMIC | code,
            meaning=meaning.LoadAcquire(size),
            kernel=(text, log) if narrow else (text,),
            mnemonic=(f"ldacq{letter} {{dst}}, [{{src}}{{off}}]",),
            log=log,
            dst=None,
            src=None,
            offset=None,
            imm=opcodes.LOAD_ACQUIRE,
            selector="imm",
            reads=("src",),
            writes=("dst",),
            mcpu=4,
            linux="6.15",
        )
        text = f"store_release((u{bits} *)({{dst}} {{off}}), {{src{r}}})"
        log = text.replace("32})", "})")
        yield Row(
            name=f"store_release{bits}",
            opcode=opcodes.STX | opcodes.ATOMIC | code,
            meaning=meaning.StoreRelease(size),
            kernel=(text, log) if narrow else (text,),
            mnemonic=(f"strel{letter} [{{dst}}{{off}}], {{src}}",),
            log=log,
            dst=None,
            src=None,
            offset=None,
            imm=opcodes.STORE_RELEASE,
            selector="imm",
            operand="src",
            reads=("dst", "src"),
            mcpu=4,
            linux="6.15",
        )


def _atomic_row(
    operation: str, size: int, imm: int, fetch: bool, kernel: tuple[str, ...], mnemonic: str, log: str
) -> Row:
    is_addition = operation == "add" and not fetch
    action = meaning.atomic(operation, size, fetch)
    return Row(
        name=f"atomic{size * 8}_{'fetch_' if imm & opcodes.FETCH and imm < opcodes.XCHG else ''}{operation}",
        opcode=opcodes.STX | opcodes.ATOMIC | (opcodes.DW if size == 8 else opcodes.W),
        meaning=action,
        kernel=kernel,
        mnemonic=(mnemonic,),
        log=log,
        dst=None,
        src=None,
        offset=None,
        imm=imm,
        selector="imm",
        operand="src",
        reads=("dst", "src", 0) if operation == "cmpxchg" else ("dst", "src"),
        writes=() if action.result is None else (0,) if action.result == "r0" else ("src",),
        mcpu=1 if is_addition else 3,
        linux="3.18" if is_addition else "5.12",
    )


def _atomics() -> Iterator[Row]:
    for size in (8, 4):
        bits = size * 8
        s, r0, suffix, log_bits = ("{src}", "r0", "", "64") if size == 8 else ("{src32}", "w0", "32", "")
        place = f"(u{bits} *)({{dst}} {{off}})"
        for name, code, operator in _ATOMIC_OPERATORS:
            log = f"lock *{place} {operator} {{src}}"
            plain = (f"lock *{place} {operator} {s}",)
            also = (log,) if size == 4 else ()
            mnemonic = f"lock {name}{suffix} [{{dst}}{{off}}], {{src}}"
            yield _atomic_row(name, size, code, False, plain + also, mnemonic, log)
            log = f"{{src}} = atomic{log_bits}_fetch_{name}({place}, {{src}})"
            forms = (f"{s} = atomic_fetch_{name}({place}, {s})", log)
            mnemonic = f"lock fetch {name}{suffix} [{{dst}}{{off}}], {{src}}"
            yield _atomic_row(name, size, code | opcodes.FETCH, True, forms, mnemonic, log)
        llvm = "_64" if size == 8 else "32_32"
        log = f"{{src}} = atomic{log_bits}_xchg({place}, {{src}})"
        forms = (f"{s} = xchg{llvm}({{dst}} {{off}}, {s})", log)
        mnemonic = f"lock xchg{suffix} [{{dst}}{{off}}], {{src}}"
        yield _atomic_row("xchg", size, opcodes.XCHG, True, forms, mnemonic, log)
        log = f"r0 = atomic{log_bits}_cmpxchg({place}, r0, {{src}})"
        forms = (f"{r0} = cmpxchg{llvm}({{dst}} {{off}}, {r0}, {s})", log)
        mnemonic = f"lock cmpxchg{suffix} [{{dst}}{{off}}], {{src}}"
        yield _atomic_row("cmpxchg", size, opcodes.CMPXCHG, True, forms, mnemonic, log)


#: name, pseudo source, what it refers to, by index, second immediate free, placeholder, first Linux
_WIDE: Final[tuple[tuple[str, int, meaning.WideLoad, bool, str, str], ...]] = (
    ("lddw", 0, meaning.WideLoad("number"), True, "{wide}", "3.18"),
    ("lddw_map", opcodes.PSEUDO_MAP_FD, meaning.WideLoad("map"), False, "{map}", "3.18"),
    ("lddw_map_value", opcodes.PSEUDO_MAP_VALUE, meaning.WideLoad("map value"), True, "{value}", "5.2"),
    ("lddw_ksym", opcodes.PSEUDO_BTF_ID, meaning.WideLoad("kernel symbol"), True, "{ksym}", "5.10"),
    ("lddw_function", opcodes.PSEUDO_FUNC, meaning.WideLoad("function"), False, "{function}", "5.13"),
    ("lddw_map_index", opcodes.PSEUDO_MAP_IDX, meaning.WideLoad("map", True), False, "{map_index}", "5.14"),
    (
        "lddw_map_value_index",
        opcodes.PSEUDO_MAP_IDX_VALUE,
        meaning.WideLoad("map value", True),
        True,
        "{value_index}",
        "5.14",
    ),
)


def _wide_loads() -> Iterator[Row]:
    for name, pseudo, action, high_is_free, placeholder, linux in _WIDE:
        kernel = (f"{{dst}} = {placeholder} ll", f"{{dst}} = {placeholder}")
        yield Row(
            name=name,
            opcode=opcodes.LDDW,
            meaning=action,
            kernel=kernel if pseudo else kernel[:1],
            mnemonic=(f"lddw {{dst}}, {placeholder}",),
            log="{dst} = {wide}",
            dst=None,
            src=pseudo,
            imm=None,
            high=None if high_is_free else 0,
            selector="src",
            writes=("dst",),
            linux=linux,
        )


def _packet_loads() -> Iterator[Row]:
    for size, code, letter in _SIZES[:3]:
        for indirect in (False, True):
            start = f"r0 = *(u{size * 8} *)skb"
            kernel = (f"{start}[{{src}}]", f"{start}[{{src}} {{off_imm}}]") if indirect else (f"{start}[{{imm}}]",)
            yield Row(
                name=f"{'ldind' if indirect else 'ldabs'}_u{size * 8}",
                opcode=opcodes.LD | (opcodes.IND if indirect else opcodes.ABS) | code,
                meaning=meaning.PacketLoad(size, indirect),
                kernel=kernel,
                mnemonic=(f"ldind{letter} {{src}}, {{imm}}",) if indirect else (f"ldabs{letter} {{imm}}",),
                log=f"{start}[{{src}} + {{imm}}]" if indirect else kernel[0],
                src=None if indirect else 0,
                imm=None,
                reads=(6, "src") if indirect else (6,),
                writes=_SCRATCH,
            )


#: Every instruction, in the order of the RFC's sections.
TABLE: Final[tuple[Row, ...]] = (
    *_arithmetic(),
    _cast(),
    *_swaps(),
    *_jumps(),
    *_calls(),
    *_wide_loads(),
    *_loads_and_stores(),
    *_atomics(),
    *_packet_loads(),
)

#: Rows by name.
BY_NAME: Final[dict[str, Row]] = {row.name: row for row in TABLE}


def _lookup() -> tuple[tuple[Selector, dict[int, Row]] | None, ...]:
    found: list[tuple[Selector, dict[int, Row]] | None] = [None] * 256
    for row in TABLE:
        entry = found[row.opcode]
        if entry is None:
            entry = found[row.opcode] = (row.selector, {})
        value = getattr(row, row.selector) if row.selector else 0
        assert entry[0] == row.selector, row.name
        assert value not in entry[1], row.name
        entry[1][value] = row
    return tuple(found)


_LOOKUP: Final = _lookup()


def row_of(instruction: Instruction) -> Row | None:
    """The row that an instruction belongs to, or None where its opcode or selecting field is not known.

    Reserved fields are not looked at (:func:`skep.isa.check` does); the second slot of a wide load has no row.
    """
    entry = _LOOKUP[instruction.opcode & 0xFF]
    if entry is None:
        return None
    selector, rows = entry
    if not selector:
        return rows[0]
    if selector == "imm":
        return rows.get(instruction.imm)
    return rows.get(instruction.offset if selector == "offset" else instruction.src)


def rows_of_opcode(opcode: int) -> tuple[Selector, dict[int, Row]] | None:
    """The selecting field of an opcode and the rows by its value, or None for an opcode that is no instruction."""
    return _LOOKUP[opcode] if 0 <= opcode <= 0xFF else None


def _numbers(roles: tuple[RegisterRole, ...], instruction: Instruction) -> tuple[int, ...]:
    return tuple(instruction.dst if role == "dst" else instruction.src if role == "src" else role for role in roles)


def registers_read(instruction: Instruction) -> tuple[int, ...]:
    """The registers that an instruction may read; for a call all argument registers, whatever the callee takes."""
    row = row_of(instruction)
    return () if row is None else _numbers(row.reads, instruction)


def registers_written(instruction: Instruction) -> tuple[int, ...]:
    """The registers that an instruction writes or, as calls and packet loads do with r1 to r5, makes unreadable."""
    row = row_of(instruction)
    return () if row is None else _numbers(row.writes, instruction)
