"""The JIT against native code and the kernel's JIT, in one run: ``python benchmarks/jit.py``.

Each program of ``benchmarks/programs`` is one C file. clang compiles it for BPF, which the JIT then compiles, and for
this machine at ``-O2`` and at ``-O3 -march=native``; all three run in the same native loop over the same input, in
turns, and the medians are compared. A second form of the file, in which the verifier of Linux sees bounds, runs in
the kernel by BPF_PROG_TEST_RUN (the cost of an empty program subtracted) and on the JIT. What the kernel does not
accept, or may not be asked, is left out there. Read ratios, not times.

Programs whose course depends on their input get another input in each run, 16 of them in turn: a branch predictor
learns one of 16 KB by heart, or does not, by where the code happens to lie, and then the same native code takes 16 or
30 microseconds from process to process. In the kernel's form, of shorter inputs, every program takes 64 KB in turn.
Inputs start at page boundaries.

``--json FILE`` and ``--plot FILE`` write the table for machines and as a picture; names of programs choose some.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import math
import mmap
import random
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from skep.engines import Binding
from skep.engines.jit import Jit, native
from skep.engines.kernel import Kernel, missing_right
from skep.errors import SkepError
from skep.isa.assembler import assemble
from skep.machine import Machine
from skep.memory import AddressSpace
from skep.objects import ProgramSpec, ProgramType, Spec
from skep.objects import open as open_object

PROGRAMS = Path(__file__).parent / "programs"
#: Programs that call helpers, which there is nothing like in native code.
MAP_PROGRAMS = PROGRAMS / "maps"
SIZE = 16384
KERNEL_SIZE = 1024
#: What the kernel gets at once is this much, divided into inputs (``INPUTS`` in program.h).
KERNEL_MEMORY = 65536
#: So many inputs a program has whose course depends on them.
TURNS = 16
#: The verifier of Linux 6.18 gives up on longer inputs of these (a million instructions, after half a minute) ...
KERNEL_SIZES = {"insertion_sort": 128, "samples": 256, "string_scan": 256, "token_switch": 128}
#: ... and on these with any.
TOO_MANY_STATES = frozenset(("binary_search", "checksum"))
#: One measurement takes about this long; there are ROUNDS of each, in turns.
_ROUND_SECONDS = 0.0015
ROUNDS = 31
_KERNEL_ROUNDS = 15

_LOOP = """
define i64 @loop(ptr %function, ptr %memory, ptr %cpu, i64 %size, i64 %inputs, i64 %count) {
entry:
  br label %again
again:
  %left = phi i64 [ %count, %entry ], [ %less, %again ]
  %sum = phi i64 [ 0, %entry ], [ %next, %again ]
  %turn = urem i64 %left, %inputs
  %distance = mul i64 %turn, %size
  %input = getelementptr i8, ptr %memory, i64 %distance
  %result = call i64 %function(ptr %input, i64 %size, ptr %cpu)
  %next = add i64 %sum, %result
  %less = sub i64 %left, 1
  %done = icmp eq i64 %less, 0
  br i1 %done, label %end, label %again
end:
  ret i64 %next
}
"""


@dataclass(slots=True)
class Row:
    """What was measured of one program, nanoseconds a run; None where there is no such form of it.

    ``jit_in_kernel_form`` and ``linux`` are of the form that the kernel takes.
    """

    name: str
    slots: int
    load_ms: float | None = None
    jit: float | None = None
    o2: float | None = None
    o3: float | None = None
    jit_in_kernel_form: float | None = None
    linux: float | None = None


class Bench:
    """The tools of a run: clang, a place for its output, the loop."""

    def __init__(self, clang: str, folder: Path) -> None:
        self.clang = clang
        self.folder = folder
        self._linked = native.Linked(native.machine_code(_LOOP, 3), ("loop",), {})
        kind = ctypes.CFUNCTYPE(ctypes.c_uint64, *[ctypes.c_void_p] * 3, *[ctypes.c_uint64] * 3)
        self._loop = kind(self._linked.addresses["loop"])
        self._kept: list[object] = []

    def build(self, source: Path, output: str, *flags: str) -> Path:
        """Compile ``source`` with clang."""
        target = self.folder / output
        subprocess.run([self.clang, *flags, str(source), "-o", str(target)], check=True)
        return target

    def bpf(self, name: str, *flags: str) -> Spec:
        """The BPF object of a program."""
        # clang 22 makes jump tables, which no released kernel takes; older ones have no such option to turn off.
        common = ("-O2", "-g", "-target", "bpf", "-mcpu=v4", "-fno-jump-tables", "-c")
        return open_object(self.build(source_of(name), f"{name}{''.join(flags)}.o", *common, *flags))

    def native(self, name: str, *flags: str) -> int:
        """The address of ``run`` in the program compiled for this machine."""
        library = self.build(source_of(name), f"{name}{''.join(flags)}.so", *flags, "-shared", "-fPIC", "-Wl,-z,now")
        loaded = ctypes.CDLL(str(library))
        self._kept.append(loaded)
        return ctypes.cast(loaded.run, ctypes.c_void_p).value or 0

    def time(self, function: int, data: Inputs, count: int, cpu: int = 0) -> float:
        """Nanoseconds of CPU time a run: another process that has the core meanwhile does not count."""
        started = time.thread_time_ns()
        self._loop(function, data.address, cpu, data.size, data.count, count)
        return (time.thread_time_ns() - started) / count

    def result(self, function: int, data: bytes) -> int:
        """What one run over a copy of ``data`` returns."""
        copy = Inputs([data])
        return int(self._loop(function, copy.address, 0, copy.size, 1, 1))

    def medians(self, functions: Mapping[str, int], data: Inputs) -> dict[str, float]:
        """The median of each function's time, measured in turns."""
        first = self.time(next(iter(functions.values())), data, TURNS)
        # Each input as often as the others.
        count = max(round(_ROUND_SECONDS * 1e9 / first / TURNS), 1) * TURNS
        times: dict[str, list[float]] = {name: [] for name in functions}
        for _ in range(ROUNDS):
            for name, function in functions.items():
                times[name].append(self.time(function, data, count))
        return {name: statistics.median(found) for name, found in times.items()}


class Inputs:
    """Inputs of one size, one behind the other in memory from the start of a page on."""

    def __init__(self, inputs: Sequence[bytes]) -> None:
        self.size = len(inputs[0])
        self.count = len(inputs)
        self._memory = mmap.mmap(-1, self.size * self.count)
        self._memory.write(b"".join(inputs))
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))


def source_of(name: str) -> Path:
    """The C file of a program."""
    path = PROGRAMS / f"{name}.c"
    return path if path.exists() else MAP_PROGRAMS / f"{name}.c"


def text(size: int, seed: int) -> bytes:
    """Something between a header, a configuration and prose, with a few characters outside ASCII."""
    source = random.Random(seed)
    words = ("name", "value", "n", "list", "Content-Type", "text/html", "Host", "and", "More", "words", "üñé", "é")
    marks = (" ", " ", ": ", ", ", '"', "; ", "=", "\r\n", " 123 ", ' {"', "} ")
    made = "".join(source.choice(words) + source.choice(marks) for _ in range(size // 2))
    return made.encode()[:size]


def packets(size: int, seed: int) -> bytes:
    """Frames of 128 bytes: IPv4 and IPv6, TCP with options and UDP, none to two VLAN tags."""
    source = random.Random(seed)
    made = b""
    for _ in range(size // 128):
        tags = b"".join(b"\x81\x00\x00" + source.randbytes(1) for _ in range(source.randrange(3)))
        if source.randrange(4) == 3:
            network = b"\x86\xdd\x60\x00\x00\x00\x00\x14\x06\x40" + source.randbytes(32)
        else:
            protocol = b"\x06" if source.randrange(3) else b"\x11"
            network = b"\x08\x00\x45\x00\x00\x40\x00\x00\x00\x00\x40" + protocol + b"\x00\x00" + source.randbytes(8)
        options = b"\x02\x04\x05\xb4\x01\x03\x03\x07\x08\x0a" + source.randbytes(8) + b"\x01\x00"
        transport = source.randbytes(12) + b"\xa0\x10\x00\x00\x00\x00\x00\x00" + options
        made += (bytes(12) + tags + network + transport).ljust(128, b"\x00")[:128]
    return made


def noise(size: int, seed: int) -> bytes:
    """Random bytes."""
    return random.Random(seed).randbytes(size)


#: The inputs of the programs whose course depends on them. All others take noise.
COURSES: Mapping[str, Callable[[int, int], bytes]] = {
    "binary_search": noise,
    "bytecode": noise,
    "flow_table": noise,
    "insertion_sort": noise,
    "integer_loop": noise,
    "packet_parse": packets,
    "state_machine": text,
    "string_scan": text,
    "token_switch": text,
    "varints": noise,
}


def inputs_of(name: str, size: int, count: int) -> list[bytes]:
    """``count`` inputs of a program, of ``size`` bytes each."""
    return [COURSES.get(name, noise)(size, seed) for seed in range(count)]


def measure(bench: Bench, name: str) -> Row:
    """Compile one program in all ways, check that they agree, and time them."""
    spec = next(iter(bench.bpf(name).programs.values()))
    if not (PROGRAMS / f"{name}.c").exists():
        return Row(name, len(spec.instructions))
    inputs = inputs_of(name, SIZE, TURNS if name in COURSES else 1)
    with Machine(engines={"jit": Jit(cache=None)}) as machine:
        started = time.thread_time()
        program = machine.load(spec, type=ProgramType.RAW, verify=False)
        spent = time.thread_time() - started
        functions = {
            "jit": program.loaded.address,
            "o2": bench.native(name, "-O2"),
            "o3": bench.native(name, "-O3", "-march=native"),
        }
        for data in inputs:
            results = {way: bench.result(function, data) for way, function in functions.items()}
            if len(set(results.values())) != 1:
                raise SystemExit(f"{name}: the ways disagree: {results}")
        times = bench.medians(functions, Inputs(inputs))
        return Row(name, len(spec.instructions), 1e3 * spent, **times)


class KernelBench:
    """The kernel's side: programs run by BPF_PROG_TEST_RUN, less what an empty one takes."""

    def __init__(self) -> None:
        self.kernel = Kernel()
        empty = ProgramSpec("empty", "xdp", ProgramType.XDP, assemble("r0 = 0\nexit").instructions, license="GPL")
        with self.kernel.load(empty) as loaded:
            runs = [loaded.run(bytes(64), repeat=200_000).duration_ns for _ in range(_KERNEL_ROUNDS)]
        # The kernel reports whole nanoseconds a run.
        self.fixed = statistics.median(runs)

    def measure(self, bench: Bench, row: Row) -> None:
        """Add the kernel's time, and the JIT's for the same object, to ``row``."""
        if row.name in TOO_MANY_STATES:
            return
        size = KERNEL_SIZES.get(row.name, KERNEL_SIZE)
        turns = KERNEL_MEMORY // size
        spec = bench.bpf(row.name, "-DKERNEL", f"-DSIZE={size}")
        program = spec.programs["entry"]
        data = b"".join(inputs_of(row.name, size, turns))
        try:
            theirs = self.kernel.load(program)
        except SkepError as error:
            print(f"{row.name}: not in the kernel: {error.problem.splitlines()[0][:90]}", file=sys.stderr)
            return
        with theirs, Machine(cpus=1) as machine:
            ours = machine.load(program, verify=False)
            variables = spec.variables
            zero = bytes(4)
            for variable, value in (("input", data), ("input_size", struct.pack("=Q", size))):
                place = variables[variable]
                for maps in (theirs.maps, machine.maps):
                    one = maps[place.map]
                    content = bytearray(one.lookup(zero) or b"")
                    content[place.offset : place.offset + len(value)] = value
                    one.update(zero, bytes(content))
            context = Inputs([bytes(512)])

            def mine(count: int) -> float:
                return bench.time(ours.loaded.address, context, count, machine.cpus.address(0))

            def its(count: int) -> float:
                return theirs.run(bytes(64), repeat=count).duration_ns - self.fixed

            mine(1)
            its(1)
            place = variables["result"]
            results = [
                bytes(maps[place.map].lookup(zero) or b"")[place.offset : place.offset + 8]
                for maps in (theirs.maps, machine.maps)
            ]
            if results[0] != results[1]:
                raise SystemExit(f"{row.name}: the kernel's result differs: {results}")
            count = max(int(_ROUND_SECONDS * 1e9 / mine(turns)) // turns, 1) * turns
            rounds = [(mine(count), its(count)) for _ in range(_KERNEL_ROUNDS)]
            row.jit_in_kernel_form = statistics.median(a for a, _ in rounds)
            row.linux = max(statistics.median(b for _, b in rounds), 1.0)


def geometric_mean(ratios: Sequence[float]) -> float:
    """Of numbers above zero; 0 of none."""
    return math.exp(statistics.fmean(math.log(ratio) for ratio in ratios)) if ratios else 0.0


def ratios(rows: Sequence[Row], over: str, under: str) -> list[float]:
    """One column divided by another, where there are both."""
    pairs = [(getattr(row, over), getattr(row, under)) for row in rows]
    return [a / b for a, b in pairs if a and b]


def summary(rows: Sequence[Row]) -> dict[str, float]:
    """The figures that the targets speak of."""
    return {
        "jit / clang -O2": geometric_mean(ratios(rows, "jit", "o2")),
        "jit / clang -O3 -march=native": geometric_mean(ratios(rows, "jit", "o3")),
        "jit / Linux JIT": geometric_mean(ratios(rows, "jit_in_kernel_form", "linux")),
        "clang -O3 -march=native / clang -O2": geometric_mean(ratios(rows, "o3", "o2")),
        "largest jit / clang -O2": max(ratios(rows, "jit", "o2"), default=0.0),
    }


def show(rows: Sequence[Row]) -> None:
    """Print the table and the means."""
    heads = ("jit", "-O2", "-O3", "/ -O2", "/ -O3", "form", "Linux", "/ Linux")
    print(f"{'program':20}{'slots':>6}{'load':>10}" + "".join(f"{head:>10}" for head in heads))
    for row in rows:
        quotients = [next(iter(ratios([row], *pair)), None) for pair in (("jit", "o2"), ("jit", "o3"))]
        last = next(iter(ratios([row], "jit_in_kernel_form", "linux")), None)
        cells = [(row.jit, 0), (row.o2, 0), (row.o3, 0), (quotients[0], 2), (quotients[1], 2)]
        cells += [(row.jit_in_kernel_form, 0), (row.linux, 0), (last, 2)]
        shown = "".join(f"{'-' if value is None else f'{value:.{digits}f}':>10}" for value, digits in cells)
        load = "-" if row.load_ms is None else f"{row.load_ms:.1f} ms"
        print(f"{row.name:20}{row.slots:6}{load:>10}{shown}")
    for what, value in summary(rows).items():
        print(f"{what:40}{value:6.3f}")


def compile_times(bench: Bench) -> dict[str, float]:
    """Milliseconds of CPU time to load programs of some sizes, nothing cached, and one from the cache.

    The least of several: what else happens on the machine only adds to it.
    """
    from skep.codecache import CodeCache

    found: dict[str, float] = {}
    with AddressSpace() as space, tempfile.TemporaryDirectory() as folder:
        binding = Binding(space)

        def load(engine: Jit, spec: ProgramSpec) -> float:
            started = time.thread_time()
            engine.load(spec, binding).close()
            return 1e3 * (time.thread_time() - started)

        for blocks, repeat in ((1, 15), (43, 7), (433, 3), (2780, 1)):
            spec = synthetic(blocks)
            times = [load(Jit(cache=None), spec) for _ in range(repeat)]
            found[f"{len(spec.instructions)} slots"] = min(times)
        cached = Jit(cache=CodeCache(Path(folder) / "cache"))
        spec = synthetic(40)
        load(cached, spec)
        found[f"{len(spec.instructions)} slots, from the cache"] = min(load(cached, spec) for _ in range(9))
    return found


def synthetic(blocks: int) -> ProgramSpec:
    """A program of about 25 instructions a block, as parsers are: loads, shifts, comparisons, early exits."""
    source = random.Random(blocks)
    lines = ["r6 = r1", "r7 = r2", "r0 = 0", "r8 = 1", "if r7 >= 256 goto start", "exit", "start:"]
    for number in range(blocks):
        at = source.randrange(0, 200)
        lines += [
            f"r1 = *(u16 *)(r6 + {at})",
            "r1 = be16 r1",
            f"r2 = *(u8 *)(r6 + {at + 3})",
            "r3 = r2",
            "r3 &= 15",
            "r3 <<= 2",
            f"*(u64 *)(r10 - {8 * source.randrange(1, 20)}) = r8",
            f"if r1 == {source.randrange(1 << 15)} goto far{number}",
            f"if r3 > {source.randrange(60)} goto near{number}",
            f"r8 += {source.randrange(1000)}",
            "r0 += r3",
            f"near{number}:",
            f"r4 = *(u32 *)(r6 + {at + 8})",
            "r5 = r4",
            "w5 >>= 7",
            "r8 *= 31",
            "r8 += r5",
            "r4 ^= r8",
            f"*(u32 *)(r10 - {8 * source.randrange(21, 40)}) = r4",
            f"if w4 == {source.randrange(1 << 30)} goto out{number}",
            "r0 ^= r8",
            f"goto far{number}",
            f"out{number}:",
            "exit" if number % 8 == 0 else "r0 += 1",
            f"far{number}:",
            f"r0 += {number}",
        ]
    lines.append("exit")
    return ProgramSpec(f"synthetic{blocks}", "", ProgramType.RAW, assemble("\n".join(lines)).instructions)


def plot(rows: Sequence[Row], path: str) -> None:
    """A bar for each program and way, relative to clang -O2."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = [row for row in rows if row.o2]
    figure, axes = pyplot.subplots(figsize=(11, 5))
    places = range(len(rows))
    ways = (
        ("skep JIT", ratios(rows, "jit", "o2")),
        ("clang -O3 -march=native", ratios(rows, "o3", "o2")),
    )
    for index, (label, values) in enumerate(ways):
        axes.bar([place + 0.4 * index for place in places], values, width=0.4, label=label)
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set_xticks([place + 0.2 for place in places], [row.name for row in rows], rotation=60, ha="right")
    axes.set_ylabel("time relative to clang -O2")
    axes.legend()
    figure.tight_layout()
    figure.savefig(path)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("programs", nargs="*", help="names of programs; all if none is given")
    parser.add_argument(
        "--clang", default=next((c for v in range(30, 13, -1) if (c := shutil.which(f"clang-{v}"))), "clang")
    )
    parser.add_argument("--json", metavar="FILE", help="write the figures as JSON")
    parser.add_argument("--plot", metavar="FILE", help="write a picture (needs matplotlib)")
    parser.add_argument("--no-compile-times", action="store_true", help="leave out the times to compile")
    arguments = parser.parse_args()
    known = [path.stem for folder in (PROGRAMS, MAP_PROGRAMS) for path in sorted(folder.glob("*.c"))]
    unknown = set(arguments.programs) - set(known)
    if unknown:
        parser.error(f"there is no program {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(arguments.clang, Path(folder))
        rows = [measure(bench, name) for name in arguments.programs or known]
        reason = missing_right()
        if reason is None:
            kernel = KernelBench()
            for row in rows:
                kernel.measure(bench, row)
        else:
            print(f"without the kernel: {reason}", file=sys.stderr)
        show(rows)
        times = {} if arguments.no_compile_times else compile_times(bench)
        for what, value in times.items():
            print(f"load {what:35}{value:9.2f} ms")
        if arguments.json:
            figures = {"programs": [asdict(row) for row in rows], "summary": summary(rows), "load_ms": times}
            Path(arguments.json).write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
        if arguments.plot:
            plot(rows, arguments.plot)


if __name__ == "__main__":
    main()
