"""BPF instructions for functions of the language, by LLVM's ``bpf`` target at ``mcpu`` v4.

The functions that one calls are inlined into it, except those marked ``inline="never"``, which follow it as
subprograms. What BPF code refers to lies in its arguments: it has no variables, tables or C functions of its own.

LLVM ends the process when it cannot select an instruction, so nothing may reach its code generator that it might not
be able to: the language refuses what it knows to be impossible, with its place, and the optimised text is then held
against the list below of what was tried on this LLVM. The limit on the stack is lifted inside LLVM, which would
exit over it, and checked here afterwards.
"""

from __future__ import annotations

import io
import re
import struct
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from skep.errors import LanguageError
from skep.lang.function import Function
from skep.lang.llvm_options import options_for
from skep.lang.module import emit
from skep.lang.target import BPF

if TYPE_CHECKING:
    from skep.isa.instruction import Instructions

#: What a program and its subprograms may use of the stack, each (RFC 9669 leaves it to the platform; Linux: 512).
STACK_LIMIT = 512
_PARAMETERS = 5
#: More lines of LLVM text than this could make jumps that do not reach.
_LINES = 12_000
_EXIT = b"\x95" + bytes(7)

#: Instructions of LLVM that BPF code is made from, with the widest integer that each may have.
_OPCODES: Mapping[str, int] = {
    **dict.fromkeys(
        ("add", "sub", "and", "or", "xor", "icmp", "select", "phi", "load", "store", "zext", "sext"), 128
    ),
    **dict.fromkeys(("trunc", "freeze"), 128),
    **dict.fromkeys(("mul", "udiv", "sdiv", "urem", "srem", "shl", "lshr", "ashr", "atomicrmw", "cmpxchg"), 64),
    **dict.fromkeys(("ret", "br", "switch", "unreachable", "call", "getelementptr", "alloca"), 64),
    **dict.fromkeys(("extractvalue", "insertvalue", "ptrtoint", "inttoptr"), 64),
}

#: Intrinsics that it selects, by the widths of their operands.
_ANY = frozenset(range(1, 65))
_INTRINSICS: Mapping[str, frozenset[int]] = {
    **dict.fromkeys(("umin", "umax", "smin", "smax", "abs", "ctlz", "cttz", "ctpop", "fshl", "fshr"), _ANY),
    **dict.fromkeys(("uadd.sat", "usub.sat", "sadd.sat", "ssub.sat", "ucmp", "scmp", "bitreverse"), _ANY),
    **dict.fromkeys((f"{sign}{word}.with.overflow" for sign in "us" for word in ("add", "sub")), _ANY),
    **dict.fromkeys((f"{sign}mul.with.overflow" for sign in "us"), frozenset(range(1, 33))),
    "bswap": frozenset((16, 32, 64)),
    # How LLVM's own passes for BPF keep comparisons together; they are taken out again before selection.
    **dict.fromkeys(("bpf.compare", "bpf.passthrough"), _ANY),
    **dict.fromkeys(("assume", "expect", "lifetime.start", "lifetime.end", "experimental.noalias.scope.decl"), _ANY),
}

_INSTRUCTION = re.compile(r"  (?:%[-\w.$]+ = )?(?:(?:tail|musttail|notail) )?([a-z]+)\b(.*)")
_CALLEE = re.compile(r'@("[^"]+"|[\w.$]+)\(')
_WIDTH = re.compile(r"(?<![-\w.$%@])i(\d+)\b")
_ATTRIBUTES = r"(?: [a-z]+(?:\([^)]*\))?)*"
_TRAILING_ZEROS = re.compile(
    rf"^  (%\S+) = .*@llvm\.cttz\.i\d+\((i\d+){_ATTRIBUTES} (\S+), i1 \w+\).*$", re.MULTILINE
)
_MEMORY = re.compile(r"llvm\.(memcpy|memmove|memset)\b.* i64 (\S+?), i1 false\)")
_FORBIDDEN = re.compile(r"<\d+ x |\b(?:half|float|double|fp128|bfloat)\b")


@dataclass(frozen=True, slots=True)
class BpfCode:
    """A function in BPF instructions: ``data`` is their bytes, little-endian, the function itself first.

    It takes its arguments in r1 to r5 and leaves its result in r0. ``functions`` has the slot at which the function
    and each subprogram begins, by symbol; ``stack_size`` is what the deepest of them uses, in bytes.
    """

    data: bytes = field(repr=False)
    functions: Mapping[str, int]
    stack_size: int

    @property
    def instructions(self) -> Instructions:
        """The decoded instructions, one a slot."""
        from skep.isa import decode

        return decode(self.data)


_lock = threading.Lock()
_machine: Any = None
_made: dict[Function[..., Any], BpfCode] = {}


def _start() -> Any:
    global _machine
    if _machine is None:
        from llvmlite import binding

        binding.initialize_all_targets()
        binding.initialize_all_asmprinters()
        # An option may be set once a process. The stack is checked here, where it ends nothing but the attempt.
        binding.set_option("", "-bpf-stack-size=1000000")
        target = binding.Target.from_triple(BPF.triple)
        _machine = target.create_target_machine(cpu="v4", features="+allows-misaligned-mem-access", opt=2)
    return _machine


def compile_bpf(function: Function[..., Any]) -> BpfCode:
    """The BPF instructions of ``function``, made once; LanguageError if BPF cannot express it."""
    made = _made.get(function)
    if made is None:
        made = _made.setdefault(function, _compile(function))
    return made


def _compile(function: Function[..., Any]) -> BpfCode:
    for one in emit([function], BPF).functions:
        if len(one.parameters) > _PARAMETERS and (one is function or one.inline == "never"):
            problem = f"{one.__qualname__} has {len(one.parameters)} parameters, and BPF passes {_PARAMETERS}"
            raise one.source.error(one.source.definition, problem)
    module = emit([function], BPF, entry_linkage="external")
    with _lock, options_for(BPF):
        machine = _start()
        from llvmlite import binding

        try:
            parsed = binding.parse_assembly(module.text)
            parsed.verify()
        except RuntimeError as error:
            raise LanguageError(f"LLVM refuses what was made of this, which is a defect of skep: {error}") from error
        parsed.triple = BPF.triple
        parsed.data_layout = str(machine.target_data)
        options = binding.create_pipeline_tuning_options(speed_level=2)
        options.loop_vectorization = options.slp_vectorization = False
        passes = binding.create_pass_builder(machine, options)
        passes.getModulePassManager().run(parsed, passes)
        text = str(parsed)
        for problem in _problems(text):
            raise _refusal(function, problem)
        if "@llvm.cttz." in text:
            parsed = binding.parse_assembly(_without_tables(text))
            parsed.verify()
        data: bytes = machine.emit_object(parsed)
    return _read(function, data)


def _refusal(function: Function[..., Any], problem: str) -> LanguageError:
    return function.source.error(function.source.definition, f"{function.__qualname__} does not fit BPF: {problem}")


def _problems(text: str) -> Iterator[str]:
    """What in optimised LLVM text the code generator might not select."""
    lines = text.splitlines()
    if len(lines) > _LINES:
        yield f"it is {len(lines)} lines of LLVM code"
    stack = 0
    for line in lines:
        if not line.startswith("  ") or line.startswith(("   ", "  ]")):
            continue
        # Metadata and comments follow the operands.
        line = re.split(r", ![a-z]|, !\d| ;", line, maxsplit=1)[0]
        found = _INSTRUCTION.match(line)
        opcode = found[1] if found else line.split()[0]
        if found is None or opcode not in _OPCODES:
            yield f"it needs `{opcode}`, which BPF has no code for"
            continue
        if _FORBIDDEN.search(line):
            yield f"it needs floating point or vectors (`{line.strip()}`)"
        widths = [int(one) for one in _WIDTH.findall(found[2])]
        if opcode == "call":
            yield from _call_problems(line)
        elif any(one > _OPCODES[opcode] for one in widths):
            yield f"it needs `{opcode}` on {max(widths)} bits"
        elif opcode in ("atomicrmw", "cmpxchg") and not {8, 16}.isdisjoint(widths):
            yield f"it needs `{opcode}` on 8 or 16 bits"
        elif opcode == "atomicrmw" and re.match(r" (volatile )?(xchg|add|sub|and|or|xor) ", found[2]) is None:
            yield f"it needs `{line.strip()}`"
        elif opcode in ("load", "store") and "atomic" in line and "seq_cst" in line:
            yield "it needs a sequentially consistent load or store"
        elif opcode == "alloca":
            size = re.search(r"alloca (?:\[(\d+) x i8\]|i(\d+)|ptr)", line)
            if size is None or re.search(r", i\d+ %", line):
                yield f"it needs `{line.strip()}`"
            else:
                stack += int(size[1]) if size[1] else int(size[2] or 64) // 8 or 1
    if stack > STACK_LIMIT:
        yield f"it needs {stack} bytes of stack, and has {STACK_LIMIT}"


def _without_tables(text: str) -> str:
    """``text`` with trailing zeros counted by population: LLVM would read them from a table in data."""
    count = 0

    def expand(found: re.Match[str]) -> str:
        nonlocal count
        count += 1
        result, llvm, value = found.groups()
        negative, lowest, below = (f"%skep.{count}.{part}" for part in ("negative", "lowest", "below"))
        return (
            f"  {negative} = sub {llvm} 0, {value}\n"
            f"  {lowest} = and {llvm} {value}, {negative}\n"
            f"  {below} = sub {llvm} {lowest}, 1\n"
            f"  {result} = call {llvm} @llvm.ctpop.{llvm}({llvm} {below})"
        )

    return _TRAILING_ZEROS.sub(expand, text)


def _call_problems(line: str) -> Iterator[str]:
    if ' asm "", ' in line or ' asm sideeffect "", ' in line:
        return
    callee = _CALLEE.search(line)
    if callee is None:
        yield "it calls through a function pointer"
        return
    name = callee[1].strip('"')
    if not name.startswith("llvm."):
        if not name.startswith("fn."):
            yield f"it calls {name}"
        return
    transfer = _MEMORY.search(line)
    if transfer is not None:
        if not transfer[2].isdigit() or int(transfer[2]) > STACK_LIMIT:
            yield f"it needs the C function {transfer[1]} for {transfer[2]} bytes"
        return
    word = re.sub(r"(\.(i\d+|p0))+$", "", name[5:])
    allowed = _INTRINSICS.get(word)
    widths = {int(one) for one in re.findall(r"\.i(\d+)", name)}
    if allowed is None or not widths <= allowed:
        yield f"it needs the operation {name}"


def _read(function: Function[..., Any], data: bytes) -> BpfCode:
    from elftools.elf.elffile import ELFFile
    from elftools.elf.relocation import RelocationSection
    from elftools.elf.sections import SymbolTableSection

    elf = ELFFile(io.BytesIO(data))
    text = elf.get_section_by_name(".text")
    symbols = elf.get_section_by_name(".symtab")
    if text is None or not isinstance(symbols, SymbolTableSection):
        raise _refusal(function, "LLVM made no code of it")
    code = bytearray(text.data())
    functions = [symbol for symbol in symbols.iter_symbols() if symbol["st_info"]["type"] == "STT_FUNC"]
    if any(symbol["st_shndx"] != elf.get_section_index(".text") for symbol in functions):
        raise _refusal(function, "LLVM put part of it elsewhere")
    starts = {symbol.name: symbol["st_value"] // 8 for symbol in functions}
    relocations = elf.get_section_by_name(".rel.text")
    for relocation in relocations.iter_relocations() if isinstance(relocations, RelocationSection) else ():
        name = symbols.get_symbol(relocation["r_info_sym"]).name
        if name != "__bpf_trap":
            raise _refusal(function, f"it refers to {name or 'data'} outside itself")
        # What the program promised never to reach.
        code[relocation["r_offset"] : relocation["r_offset"] + 8] = _EXIT
    stack = _stack_size(bytes(code))
    if stack > STACK_LIMIT:
        raise _refusal(function, f"it needs {stack} bytes of stack, and has {STACK_LIMIT}")
    if starts.get(function.symbol) != 0:
        raise _refusal(function, "LLVM did not put it first")
    return BpfCode(bytes(code), starts, stack)


def _stack_size(code: bytes) -> int:
    """How far below r10 the code reaches: by loads and stores off it, and by what is added to copies of it."""
    deepest = 0
    copies: set[int] = set()
    position = 0
    while position < len(code):
        opcode, registers, offset, immediate = struct.unpack_from("<BBhi", code, position)
        position += 16 if opcode == 0x18 else 8
        destination, source = registers & 15, registers >> 4
        kind = opcode & 7
        if (kind == 1 and source == 10) or (kind in (2, 3) and destination == 10):  # load
            deepest = min(deepest, offset)
        elif opcode == 0xBF and source == 10:  # mov64 reg
            copies.add(destination)
            continue
        elif opcode == 0x07 and destination in copies:  # add64 imm
            deepest = min(deepest, immediate)
        if kind in (4, 7):
            copies.discard(destination)
    return (7 - deepest) // 8 * 8
