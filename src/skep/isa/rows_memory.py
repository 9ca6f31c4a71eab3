"""Rows of the instruction table that load and store, atomically or not, and that load 64-bit immediates.

Sources: RFC 9669, section 5; see :mod:`skep.isa.table` for the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from skep.isa import meaning, opcodes
from skep.isa.row import Row

_SIZES: Final = ((1, opcodes.B, "b"), (2, opcodes.H, "h"), (4, opcodes.W, "w"), (8, opcodes.DW, "dw"))

_ATOMIC_OPERATORS: Final = (
    ("add", opcodes.ADD, "+="),
    ("or", opcodes.OR, "|="),
    ("and", opcodes.AND, "&="),
    ("xor", opcodes.XOR, "^="),
)

_SCRATCH: Final = (0, 1, 2, 3, 4, 5)


def loads_and_stores() -> Iterator[Row]:
    """Plain, sign-extending, acquiring and releasing loads and stores of each size."""
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


def atomics() -> Iterator[Row]:
    """Read-modify-write instructions of 8 and 4 bytes."""
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


def wide_loads() -> Iterator[Row]:
    """The 64-bit immediate load, by what its source field says of the immediate."""
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


def packet_loads() -> Iterator[Row]:
    """The legacy loads from the packet, absolute and indirect."""
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
