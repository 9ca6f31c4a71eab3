"""What a map operation costs here and in the running kernel, in one run: ``python benchmarks/maps.py``.

The same loop on both sides: keys are drawn by a multiplication, spread over all entries, and each operation's result
is used. The loop without an operation is measured too and subtracted. The kernel's side is a program of fifty
operations that BPF_PROG_TEST_RUN repeats; without the right to bpf(2) only this side is shown. Medians; read ratios,
not times.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from skep.engines.kernel import Kernel, missing_right
from skep.isa import assemble
from skep.lang import Fn, Function, Ptr, address_of, cast, compile_host, function, struct, u8, u32, u64
from skep.lang.target import HOST
from skep.maps import Map, create
from skep.maps.functions import delete_function, lookup_function, update_function
from skep.maps.hash_layout import HashMap
from skep.maps.layout import MapHead
from skep.memory import AddressSpace, Cpu, CpuBlock
from skep.objects.kinds import MapType, ProgramType
from skep.objects.spec import MapReference, MapSpec, ProgramSpec
from skep.stdlib.prototypes import number

ENTRIES = 10_000
#: Key number ``i`` of the hash maps is ``i`` times this, modulo 2**64.
SPREAD = 0x9E3779B97F4A7C15
#: The multiplier of the sequence that keys are drawn by (Knuth's MMIX).
DRAW = 6364136223846793005

ARRAY = MapSpec("array", MapType.ARRAY, 4, 8, ENTRIES)
HASH = MapSpec("hash", MapType.HASH, 8, 8, ENTRIES)
STATE = MapSpec("state", MapType.ARRAY, 4, 8, 1)

_UNROLLED = 50
_KERNEL_REPEAT = 2_000
_LOOPS = 100_000
_ROUNDS = 25
#: Nanoseconds below which an operation cannot be told from none: it runs beside what the loop waits for.
_RESOLUTION = 0.1


@struct
class Words:
    """What an operation is done with, in memory as on a program's stack: an index, a key and a value."""

    entry: u64
    key: u64
    value: u64


@function(inline="always")
def _draw(state: u64) -> u64:
    return state * u64(DRAW) + 1


@function(inline="always")
def _entry(state: u64) -> u64:
    return (state >> 32) * ENTRIES >> 32


_array_lookup = lookup_function(ARRAY)
_hash_lookup = lookup_function(HASH)
_hash_update = update_function(HASH, HOST.arch)
_hash_delete = delete_function(HASH)


@function(inline="always")
def nothing(cpu: Ptr[Cpu], values: Ptr[u8], map: Ptr[u8], words: Ptr[Words]) -> u64:
    """No operation: what the loop takes alone."""
    return cast(Ptr[u64], address_of(words.key))[0]


@function(inline="always")
def array_lookup(cpu: Ptr[Cpu], values: Ptr[u8], map: Ptr[u8], words: Ptr[Words]) -> u64:
    """Look up an index."""
    found = _array_lookup(values, cast(Ptr[MapHead], map), cast(Ptr[u32], address_of(words.entry)))
    if found:
        return cast(Ptr[u64], found)[0]
    return 0


@function(inline="always")
def hash_lookup(cpu: Ptr[Cpu], values: Ptr[u8], map: Ptr[u8], words: Ptr[Words]) -> u64:
    """Look up a key that is there."""
    found = _hash_lookup(cpu, cast(Ptr[HashMap], map), cast(Ptr[u8], address_of(words.key)))
    if found:
        return cast(Ptr[u64], found)[0]
    return 0


@function(inline="always")
def hash_update(cpu: Ptr[Cpu], values: Ptr[u8], map: Ptr[u8], words: Ptr[Words]) -> u64:
    """Replace the value of a key that is there."""
    key = cast(Ptr[u8], address_of(words.key))
    value = cast(Ptr[u8], address_of(words.value))
    return u64(_hash_update(cpu, cast(Ptr[HashMap], map), key, value, u64(0)))


@function(inline="always")
def hash_delete_insert(cpu: Ptr[Cpu], values: Ptr[u8], map: Ptr[u8], words: Ptr[Words]) -> u64:
    """Remove a key that is there and put it back."""
    _hash_delete(cpu, cast(Ptr[HashMap], map), cast(Ptr[u8], address_of(words.key)))
    return hash_update(cpu, values, map, words)


@function
def repeated(
    cpu: Ptr[Cpu],
    values: Ptr[u8],
    map: Ptr[u8],
    loops: u64,
    operation: Fn[[Ptr[Cpu], Ptr[u8], Ptr[u8], Ptr[Words]], u64],
) -> u64:
    """An operation on one key after the other; each is drawn, stored and used."""
    words = Words()
    state = u64(1)
    total = u64(0)
    for _ in range(loops):
        state = _draw(state)
        words.entry = _entry(state)
        words.key = words.entry * u64(SPREAD)
        total += operation(cpu, values, map, address_of(words))
    return total


_DRAW_TEXT = f"""
r7 *= r8
r7 += 1
r1 = r7
r1 >>= 32
r1 *= {ENTRIES}
r1 >>= 32
"""
_SPREAD_TEXT = "r1 *= r9\n*(u64 *)(r10 - 8) = r1\n"
_ARGUMENTS = "r2 = r10\nr2 += -8\nr1 = map[hash] ll\n"
_USE = "if r0 == 0 goto +2\nr0 = *(u64 *)(r0 + 0)\nr6 += r0\n"
_UPDATE = _ARGUMENTS + "r3 = r10\nr3 += -16\nr4 = 0\ncall map_update_elem\n"

#: One operation in the kernel's program, and the map it works on.
KERNEL_TEXT = {
    "nothing": _DRAW_TEXT + _SPREAD_TEXT + "r1 = *(u64 *)(r10 - 8)\nr6 += r1\n",
    "array_lookup": _DRAW_TEXT
    + "*(u64 *)(r10 - 8) = r1\nr2 = r10\nr2 += -8\nr1 = map[array] ll\ncall map_lookup_elem\n"
    + _USE,
    "hash_lookup": _DRAW_TEXT + _SPREAD_TEXT + _ARGUMENTS + "call map_lookup_elem\n" + _USE,
    "hash_update": _DRAW_TEXT + _SPREAD_TEXT + _UPDATE,
    "hash_delete_insert": _DRAW_TEXT + _SPREAD_TEXT + _ARGUMENTS + "call map_delete_elem\n" + _UPDATE,
}

OPERATIONS: dict[str, tuple[Function[..., Any], MapSpec]] = {
    operation.__name__: (repeated.specialise(operation=operation), spec)
    for operation, spec in (
        (nothing, HASH),
        (array_lookup, ARRAY),
        (hash_lookup, HASH),
        (hash_update, HASH),
        (hash_delete_insert, HASH),
    )
}


def kernel_program(name: str) -> ProgramSpec:
    """Fifty operations of one kind; the sequence of keys goes on from run to run through a map."""
    text = f"r6 = 0\n*(u64 *)(r10 - 16) = r6\nr7 = map[state][0] ll\nr7 = *(u64 *)(r7 + 0)\nr8 = {DRAW} ll\n"
    text += f"r9 = {SPREAD} ll\n" + KERNEL_TEXT[name] * _UNROLLED
    text += "r1 = map[state][0] ll\n*(u64 *)(r1 + 0) = r7\nr0 = r6\nexit\n"
    assembly = assemble(text, helpers=number)
    references = {
        slot: MapReference(symbol.name, symbol.offset if symbol.kind == "map value" else None)
        for slot, symbol in assembly.symbols.items()
    }
    used = {spec.name: spec for spec in (ARRAY, HASH, STATE) if spec.name in {one.map for one in references.values()}}
    return ProgramSpec(
        name,
        "tc",
        ProgramType.SCHED_CLS,
        assembly.instructions,
        references=references,
        maps=used,
        license="GPL",
    )


def keys() -> list[bytes]:
    """Every key that the loops draw, as the hash maps have them."""
    return [(number * SPREAD & (1 << 64) - 1).to_bytes(8, sys.byteorder) for number in range(ENTRIES)]


def measure_kernel(name: str) -> Callable[[], float]:
    """What measures one operation in the kernel, in nanoseconds."""
    loaded = Kernel().load(kernel_program(name))
    loaded.maps["state"].update(bytes(4), (1).to_bytes(8, sys.byteorder))
    if "hash" in loaded.maps:
        loaded.maps["hash"].update_batch(dict.fromkeys(keys(), bytes(8)))
    return lambda: loaded.run(bytes(64), repeat=_KERNEL_REPEAT).duration_ns / _UNROLLED


def measure_here(name: str, maps: dict[str, Map], cpu: int) -> Callable[[], float]:
    """What measures one operation here, in nanoseconds."""
    work, spec = OPERATIONS[name]
    map = maps[spec.name]

    def measured() -> float:
        start = time.perf_counter_ns()
        work(cpu, map.values_address, map.address, _LOOPS)
        return (time.perf_counter_ns() - start) / _LOOPS

    return measured


def main() -> None:
    """Measure everything in turn, round by round, so that a slow moment meets all alike."""
    reason = missing_right()
    if reason is not None:
        print(f"The kernel is left out: {reason}", file=sys.stderr)
    with AddressSpace() as space:
        cpus = CpuBlock(1, space)
        maps = {spec.name: create(spec, 1, space) for spec in (ARRAY, HASH)}
        for key in keys():
            maps["hash"].update(key, bytes(8))
        compile_host([work for work, _ in OPERATIONS.values()])
        here = {name: measure_here(name, maps, cpus.address(0)) for name in OPERATIONS}
        there = {} if reason is not None else {name: measure_kernel(name) for name in OPERATIONS}
        samples: dict[tuple[str, str], list[float]] = {}
        for _ in range(_ROUNDS):
            for side, measures in (("here", here), ("kernel", there)):
                for name, measured in measures.items():
                    samples.setdefault((side, name), []).append(measured())
    times = {key: min(values) for key, values in samples.items()}
    print(f"{'operation':<20}{'here ns':>9}{'kernel ns':>11}{'ratio':>8}")
    for name in OPERATIONS:
        own = max(times["here", name] - (times["here", "nothing"] if name != "nothing" else 0), _RESOLUTION)
        if there:
            other = times["kernel", name] - (times["kernel", "nothing"] if name != "nothing" else 0)
            print(f"{name:<20}{own:>9.2f}{other:>11.2f}{own / other:>8.2f}")
        else:
            print(f"{name:<20}{own:>9.2f}")


if __name__ == "__main__":
    main()
