"""Random programs in C: what compilers make of bounds checks, loops, spills and calls, assembly would not have.

Each has packet reads, map values, locks, a ring buffer, subprograms and callbacks in it; most of its checks are right
and some are missing or one too wide. ``python -m tests.verifier.random_c FIRST LAST`` builds the sources of these
seeds with clang, verifies each program and asks the running kernel, and prints where they differ.
"""

from __future__ import annotations

import collections
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import skep
from skep.objects import ProgramSpec
from skep.verifier import verify
from tests.verifier import c_programs
from tests.verifier.programs import ask_kernel

_PROGRAMS = 8
_TYPES = ("u64", "u32", "u16", "u8", "s64", "s32", "s16", "s8")
_NUMBERS = (
    *(0, 1, 2, 3, 4, 7, 8, 15, 16, 31, 32, 63, 64, 100, 127, 128, 255, 256, 1000, 4095, 65535, -1, -2, -8),
    *("0x7fffffff", "0x80000000u", "0xffffffffull", "(1ull<<40)"),
)
_BEFORE = """
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>
#define hidden(v) asm volatile("" : "+r"(v))
typedef __u64 u64; typedef __u32 u32; typedef __u16 u16; typedef __u8 u8;
typedef __s64 s64; typedef __s32 s32; typedef __s16 s16; typedef __s8 s8;
struct value { u64 a; u32 b; u16 c; u8 d; u8 e; u32 words[8]; u8 bytes[20]; };
struct guarded { struct bpf_spin_lock lock; u32 x; u64 y; u64 z[4]; };
struct key { u32 k; u16 l; u16 m; };
struct shared { u64 sum; u32 n; };
#define MAP(name, kind, entries, K, V) \\
struct { __uint(type, kind); __uint(max_entries, entries); __type(key, K); __type(value, V); } name SEC(".maps")
MAP(array, BPF_MAP_TYPE_ARRAY, 16, u32, struct value);
MAP(table, BPF_MAP_TYPE_HASH, 64, struct key, struct value);
MAP(per_cpu, BPF_MAP_TYPE_PERCPU_ARRAY, 4, u32, u64[8]);
MAP(locks, BPF_MAP_TYPE_HASH, 64, u32, struct guarded);
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } ring SEC(".maps");
MAP(events, BPF_MAP_TYPE_PERF_EVENT_ARRAY, 4, u32, u32);
const volatile u32 rounds = 7;
static const u8 constants[32] = {1,2,3,4,5,6,7,8,9,3,4,1,6,3,8,5,3,2,7,8,9,5,4,3,2,1,7,6,5,4,3,2};
u32 counters[16];
"""
_AFTER = 'char LICENSE[] SEC("license") = "GPL";\n'


class _Writer:
    """Writes the statements of one function; functions that it calls are written beside it."""

    def __init__(self, random: random.Random, functions: list[str], kind: str, variables: list[str]) -> None:
        self.random = random
        self.functions = functions
        self.kind = kind
        self.variables = variables
        self.pointers: list[tuple[str, str]] = []
        self.depth = 0

    def often(self, chance: float) -> bool:
        return self.random.random() < chance

    def one_of(self, *choices: str) -> str:
        return self.random.choice(choices)

    def below(self, limit: int) -> int:
        return self.random.randrange(limit)

    def name(self, kind: str) -> str:
        self.functions[0] = str(int(self.functions[0]) + 1)
        return f"{kind}{self.functions[0]}"

    def variable(self) -> str:
        return self.random.choice(self.variables)

    # Expressions.

    def number(self) -> str:
        return str(self.random.choice((*_NUMBERS, self.below(1 << 16))))

    def value(self, depth: int = 0) -> str:
        choice = self.random.random()
        if depth > 2 or choice < 0.35:
            return self.variable()
        if choice < 0.5:
            return self.number()
        one = self.value(depth + 1)
        if choice < 0.75:
            return f"({one} {self.one_of('+', '-', '*', '&', '|', '^', '&', '+')} {self.value(depth + 1)})"
        if choice < 0.82:
            return f"({one} {self.one_of('<<', '>>')} {self.below(32)})"
        if choice < 0.87:
            return f"((u64)({one}) {self.one_of('/', '%')} {self.one_of('3', '7', '10', '16', '1000')})"
        if choice < 0.93:
            return f"(({self.one_of(*_TYPES)}){one})"
        if choice < 0.96:
            return f"({self.condition(depth + 1)} ? {one} : {self.value(depth + 1)})"
        return f"bpf_ntohl({one})"

    def condition(self, depth: int = 0) -> str:
        operator = self.one_of("<", "<=", ">", ">=", "==", "!=", "&")
        one = self.value(depth + 1)
        if operator == "&":
            return f"({one} & {self.one_of('1', '2', '4', '8', '0x80', '0xff')})"
        other = self.value(depth + 1) if self.often(0.4) else self.number()
        found = f"({one} {operator} {other})"
        if depth < 2 and self.often(0.15):
            found = f"({found} {self.one_of('&&', '||')} {self.condition(depth + 1)})"
        return found

    def index(self, limit: int) -> tuple[str, str]:
        """Statements that make an index below ``limit``, mostly, and its name."""
        name, type = self.name("i"), self.one_of("u32", "u64", "u32", "s32", "u8")
        value, choice = self.value(1), self.random.random()
        hide = f"hidden({name});" if self.often(0.3) else ""
        power = 1 << (limit - 1).bit_length()
        if choice < 0.35:
            return f"{type} {name} = ({value}) & {power - 1 if self.often(0.95) else power * 2 - 1}; {hide}", name
        if choice < 0.75:
            most = limit if self.often(0.93) else limit + self.random.choice((1, 2, 8))
            low = f" || {name} < 0" if type[0] == "s" and self.often(0.9) else ""
            return f"{type} {name} = {value}; {hide} if ({name} >= {most}{low}) return {self.below(3)};", name
        if choice < 0.9:
            return f"u32 {name} = (u32)({value}) % {limit}u;", name
        return f"u32 {name} = {value}; if ({name} > {limit - 1}) {name} = {self.below(limit)};", name

    # Statements.

    def block(self, length: int) -> str:
        self.depth += 1
        variables, pointers = len(self.variables), len(self.pointers)
        text = " ".join(self.statement() for _ in range(length))
        del self.variables[variables:], self.pointers[pointers:]
        self.depth -= 1
        return f"{{ {text} }}"

    def new_variable(self, value: str, type: str = "") -> str:
        name = self.name("v")
        self.variables.append(name)
        return f"{type or self.one_of(*_TYPES)} {name} = {value};" + (f" hidden({name});" if self.often(0.1) else "")

    def statement(self) -> str:
        kinds: tuple[tuple[float, Callable[[], str]], ...] = (
            (0.18, lambda: self.new_variable(self.value())),
            (0.12, lambda: f"{self.variable()} {self.one_of('=', '+=', '-=', '^=', '|=', '&=')} {self.value()};"),
            (0.10, self.choice),
            (0.05, self.loop),
            (0.07, self.own_memory),
            (0.04, self.constant),
            (0.10, self.lookup),
            (0.08, self.use_value),
            (0.08, self.packet),
            (0.06, self.call),
            (0.04, self.buffer_to_helper),
            (0.03, self.ring_buffer),
            (0.03, self.lock),
            (0.02, self.counted_callback),
        )
        return self.random.choices([one for _, one in kinds], [weight for weight, _ in kinds])[0]()

    def choice(self) -> str:
        if self.depth > 2:
            return ";"
        other = f" else {self.block(1 + self.below(2))}" if self.often(0.5) else ""
        return f"if {self.condition()} {self.block(1 + self.below(3))}{other}"

    def loop(self) -> str:
        if self.depth > 1:
            return ";"
        name, most = self.name("k"), self.one_of("4", "8", "16", "rounds", "rounds & 15", f"({self.value(1)} & 7)")
        self.variables.append(name)
        body = self.block(1 + self.below(2))
        leave = f"if {self.condition()} break;" if self.often(0.3) else ""
        self.variables.remove(name)
        return f"for (int {name} = 0; {name} < ({most}); {name}++) {{ {body} {leave} }}"

    def own_memory(self) -> str:
        if self.often(0.5):
            before, index = self.index(16)
            return f"{{ {before} counters[{index}] += {self.value(1)}; }}"
        before, index = self.index(32)
        return f"{{ {before} buffer[{index}] = {self.value(1)}; {self.variable()} += buffer[{index}]; }}"

    def constant(self) -> str:
        before, index = self.index(32)
        name = self.name("v")
        self.variables.append(name)
        return f"u8 {name}; {{ {before} {name} = constants[{index}]; }}"

    def lookup(self) -> str:
        name, map = self.name("m"), self.one_of("array", "table", "per_cpu")
        if map == "table":
            before = f"struct key {name}_key = {{ .k = {self.value(1)}, .l = {self.value(2)} }};"
        else:
            before = f"u32 {name}_key = {self.value(1) if self.often(0.5) else self.below(20)};"
        type = "u64" if map == "per_cpu" else "struct value"
        check = f"if (!{name}) return {self.below(3)};" if self.often(0.97) else ""
        self.pointers.append((name, map))
        return f"{before} {type} *{name} = bpf_map_lookup_elem(&{map}, &{name}_key); {check} {self.use_value()}"

    def use_value(self) -> str:
        if not self.pointers:
            return ";"
        name, map = self.random.choice(self.pointers)
        if map == "per_cpu":
            before, index = self.index(8)
            return f"{{ {before} {name}[{index}] += {self.value(1)}; }}"
        match self.one_of("a", "b", "c", "d", "words", "bytes", "atomic"):
            case "words":
                before, index = self.index(8)
                return f"{{ {before} {name}->words[{index}] = {self.value(1)}; }}"
            case "bytes":
                before, index = self.index(20)
                return f"{{ {before} {self.variable()} ^= {name}->bytes[{index}]; }}"
            case "atomic":
                return f"__sync_fetch_and_add(&{name}->a, {self.value(1)});"
            case field:
                return self.one_of(f"{name}->{field} = {self.value(1)};", f"{self.variable()} += {name}->{field};")

    def packet(self) -> str:
        if self.kind == "tracepoint":
            return ";"
        length = self.random.choice((1, 2, 4, 8, 14, 20, 34))
        before, at = ("", str(self.below(64))) if self.often(0.6) else self.index(self.random.choice((64, 256, 1500)))
        size = self.random.choice([one for one in (1, 2, 4, 8) if one <= length])
        place = self.below(length - size + 1) if self.often(0.95) else length
        access = f"*(u{8 * size} *)({{}} + {place})"
        name = self.name("p")
        access = access.format(name)
        use = self.one_of(
            f"{self.variable()} += {access};", f"{self.variable()} = {access};", f"{access} = {self.value(1)};"
        )
        wide = length + self.random.choice((0, 0, 0, 0, 1, -1))
        check = self.one_of(
            f"if ({name} + {wide} > end) return 1;",
            f"if ({name} + {wide} > end) return 1;",
            f"if (end < {name} + {wide}) return 2;",
            f"if ({name} + {wide} >= end) return 0;",
            f"if ((void *){name} + {wide} <= end)",
        )
        return f"{{ {before} void *{name} = data + {at}; {check} {use} }}"

    def call(self) -> str:
        length = {"tc": "ctx->len", "xdp": "(ctx->data_end - ctx->data)"}.get(self.kind, "bpf_ktime_get_ns()")
        match self.below(6):
            case 0:
                value = f"{self.subprogram()}(buffer, {self.value(1)})"
            case 1:
                value = f"{self.global_function()}({self.value(1)}, {self.value(2)})"
            case _:
                value = self.one_of("bpf_get_prandom_u32()", "bpf_get_smp_processor_id()", length)
        return self.new_variable(value, "u64")

    def buffer_to_helper(self) -> str:
        before, length = self.index(32)
        check = f"if ({length} == 0) return 0;" if self.often(0.5) else ""
        if self.kind == "tc" and self.often(0.5):
            return f"{{ {before} {check} bpf_skb_load_bytes(ctx, {self.below(40)}, buffer, {length}); }}"
        return f"{{ {before} {check} bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, buffer, {length}); }}"

    def ring_buffer(self) -> str:
        words, name = self.random.choice((1, 2, 3)), self.name("r")
        end = f"bpf_ringbuf_submit({name}, 0);" if self.often(0.95) else ""
        if self.often(0.5):
            end = f"if {self.condition()} bpf_ringbuf_discard({name}, 0); else {end or ';'}"
        return (
            f"{{ u64 *{name} = bpf_ringbuf_reserve(&ring, {words * 8}, 0); "
            f"if ({name}) {{ {name}[{self.below(words)}] = {self.value(1)}; {end} }} }}"
        )

    def lock(self) -> str:
        name = self.name("l")
        unlock = f"bpf_spin_unlock(&{name}->lock);" if self.often(0.97) else ""
        return (
            f"{{ u32 {name}_key = {self.value(1)}; "
            f"struct guarded *{name} = bpf_map_lookup_elem(&locks, &{name}_key); "
            f"if ({name}) {{ bpf_spin_lock(&{name}->lock); {name}->x += {self.variable()}; "
            f"if ({name}->x > 5) {name}->y++; {name}->z[{name}->x & 3] = 1; {unlock} }} }}"
        )

    # Functions that are called.

    def other(self, *variables: str) -> _Writer:
        return _Writer(self.random, self.functions, "function", list(variables))

    def subprogram(self) -> str:
        name, writer = self.name("sub"), self.other("x")
        body = " ".join(writer.plain_statement() for _ in range(1 + self.below(4)))
        self.functions.append(
            f"static __noinline u64 {name}(u8 *buffer, u64 x) {{ {body} return {writer.value()}; }}"
        )
        return name

    def plain_statement(self) -> str:
        if self.often(0.4):
            return self.new_variable(self.value())
        if self.often(0.5):
            return f"if {self.condition()} x += {self.value()};"
        return self.own_memory()

    def global_function(self) -> str:
        name, writer = self.name("shared"), self.other("x", "y")
        body = " ".join(
            writer.new_variable(writer.value())
            if self.often(0.5)
            else f"if {writer.condition()} x += {writer.value()};"
            for _ in range(1 + self.below(4))
        )
        self.functions.append(f"__noinline u64 {name}(u64 x, u32 y) {{ {body} return {writer.value()}; }}")
        return name

    def counted_callback(self) -> str:
        name, writer = self.name("round"), self.other("i", "shared->sum", "shared->n")
        body = " ".join(
            f"shared->sum {self.one_of('+=', '^=')} {writer.value()};"
            if self.often(0.6)
            else f"if {writer.condition()} return {self.one_of('0', '1', '1')};"
            for _ in range(1 + self.below(3))
        )
        end = self.one_of("0", "0", "i > 5")
        self.functions.append(f"static int {name}(u32 i, struct shared *shared) {{ {body} return {end}; }}")
        most = self.one_of("8", "rounds", self.value(1))
        return (
            f"{{ struct shared shared = {{ .sum = {self.value(1)}, .n = {self.value(2)} }}; "
            f"bpf_loop({most}, {name}, &shared, 0); {self.variable()} += shared.sum; }}"
        )


_KINDS = {
    "xdp": ("xdp", "struct xdp_md *ctx"),
    "tc": ("tc", "struct __sk_buff *ctx"),
    "tracepoint": ("tracepoint/a/b", "void *ctx"),
}


def source(seed: int) -> str:
    """One source file with some programs."""
    chance = random.Random(seed)
    functions = ["0"]
    programs = []
    for number in range(_PROGRAMS):
        kind = chance.choice(tuple(_KINDS))
        section, context = _KINDS[kind]
        writer = _Writer(chance, functions, kind, ["v"])
        start = "u8 buffer[32] = {}; u64 v = bpf_get_prandom_u32();"
        if kind != "tracepoint":
            start += " void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;"
        body = "\n\t".join(writer.statement() for _ in range(4 + chance.randrange(10)))
        end = f"return {writer.value()} & 1;"
        programs.append(f'SEC("{section}") int program{number}({context})\n{{\n\t{start}\n\t{body}\n\t{end}\n}}\n')
    return "\n".join((_BEFORE, *functions[1:], *programs, _AFTER))


def programs(seed: int) -> list[ProgramSpec]:
    """The programs of one seed, as clang builds them."""
    chance = random.Random(seed)
    level = chance.choice(("-O2", "-O2", "-O1", "-Os"))
    cpu = chance.choice(("v2", "v3", "v3", "v4"))
    with tempfile.TemporaryDirectory() as folder:
        built = Path(folder) / f"{seed}.o"
        c_programs.compile_to(built, source(seed), level, cpu)
        return list(skep.open(str(built)).programs.values())


def main(first: int, last: int) -> None:
    """Print where skep and the running kernel differ."""
    tally: collections.Counter[str] = collections.Counter()
    mine = theirs = 0
    for seed in range(first, last):
        try:
            found = programs(seed)
        except subprocess.CalledProcessError:
            tally["not compiled"] += 1
            continue
        for spec in found:
            answer = ask_kernel(spec)
            if answer.processed > 30_000:
                tally["large"] += 1
                continue
            report = verify(spec, limit=100_000)
            same = (report.verdict, report.message) == (answer.verdict, answer.message)
            kind = f"same {answer.verdict}" if same else f"{report.verdict}, not {answer.verdict}"
            tally[kind] += 1
            if not same:
                print(f"{seed} {spec.name}: skep {report.verdict} {report.message}")
                print(f"{' ':{len(str(seed))}} {spec.name}: kernel {answer.verdict} {answer.message}")
                continue
            mine, theirs = mine + report.processed, theirs + answer.processed
            tally["other count"] += report.processed != answer.processed
    print(dict(tally), f"instructions {mine}, in the kernel {theirs}")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
