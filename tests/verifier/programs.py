"""Small programs for the verifier's tests: assembly with maps, as specs, and what the running kernel says of them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from skep.engines.kernel import Kernel, missing_right
from skep.errors import KernelError
from skep.isa import assemble
from skep.objects import AttachType, FunctionSpec, MapReference, MapSpec, MapType, ProgramSpec, ProgramType
from skep.objects.spec import Reference
from skep.stdlib.prototypes import NUMBERS

CORPUS = Path(__file__).parent / "corpus"

#: Maps that programs of the corpus may name.
MAPS: Mapping[str, MapSpec] = MappingProxyType(
    {
        "array": MapSpec("array", MapType.ARRAY, 4, 48, 4),
        "wide": MapSpec("wide", MapType.ARRAY, 4, 256, 1),
        "hash": MapSpec("hash", MapType.HASH, 8, 16, 16),
        "percpu": MapSpec("percpu", MapType.PERCPU_ARRAY, 4, 8, 2),
        "lru": MapSpec("lru", MapType.LRU_HASH, 4, 8, 16),
        "jumps": MapSpec("jumps", MapType.PROG_ARRAY, 4, 4, 4),
        "events": MapSpec("events", MapType.PERF_EVENT_ARRAY, 4, 4, 0),
        "stacks": MapSpec("stacks", MapType.STACK_TRACE, 4, 8 * 127, 16),
        "ring": MapSpec("ring", MapType.RINGBUF, 0, 0, 4096),
        "devices": MapSpec("devices", MapType.DEVMAP, 4, 4, 4),
        "sockets": MapSpec("sockets", MapType.XSKMAP, 4, 4, 4),
        "queue": MapSpec("queue", MapType.QUEUE, 0, 8, 4),
        "readonly": MapSpec("readonly", MapType.ARRAY, 4, 16, 1, flags=1 << 7),
        "constants": MapSpec(
            "constants", MapType.ARRAY, 4, 16, 1, contents=bytes(range(1, 17)), frozen=True, flags=1 << 7
        ),
        "arena": MapSpec("arena", MapType.ARENA, 0, 0, 10, flags=1 << 10, map_extra=1 << 44),
        "outer": MapSpec("outer", MapType.ARRAY_OF_MAPS, 4, 4, 2, inner=MapSpec("inner", MapType.ARRAY, 4, 8, 1)),
    }
)


@dataclass(frozen=True, slots=True)
class Case:
    """One program of the corpus, and what is to be said of it."""

    name: str
    spec: ProgramSpec
    verdict: str
    message: str


def program(
    text: str,
    type: ProgramType = ProgramType.XDP,
    *,
    attach_type: AttachType | None = None,
    license: str = "GPL",
    flags: int = 0,
    name: str = "test",
) -> ProgramSpec:
    """A program from assembly; maps are named as in ``MAPS``, helpers as in C."""

    def helper(called: str) -> int | None:
        return NUMBERS.get(called.removeprefix("bpf_"))

    assembly = assemble(text, helpers=helper)
    references: dict[int, Reference] = {}
    for slot, symbol in assembly.symbols.items():
        if symbol.kind == "map":
            references[slot] = MapReference(symbol.name)
        elif symbol.kind == "map value":
            references[slot] = MapReference(symbol.name, symbol.offset)
    for slot, one in enumerate(assembly.instructions):
        if one.opcode == 0x18 and one.src in (2, 6) and isinstance(found := references.get(slot), MapReference):
            references[slot] = MapReference(found.map, assembly.instructions[slot + 1].imm)
    maps = {one.map: MAPS[one.map] for one in references.values() if isinstance(one, MapReference)}
    return ProgramSpec(
        name,
        "test",
        type,
        assembly.instructions,
        attach_type,
        flags=flags,
        functions=(FunctionSpec(name, 0),),
        references=references,
        maps=maps,
        license=license,
    )


def cases() -> list[Case]:
    """All programs of the corpus."""
    found = []
    for file in sorted(CORPUS.glob("*.toml")):
        for row in tomllib.loads(file.read_text())["case"]:
            found.append(_case(file.stem, row))
    return found


def _case(group: str, row: dict[str, Any]) -> Case:
    types = {one.label: one for one in ProgramType}
    attaches = {one.label: one for one in AttachType}
    spec = program(
        row["code"],
        types[row.get("type", "xdp")],
        attach_type=attaches[row["attach"]] if "attach" in row else None,
        license=row.get("license", "GPL"),
        flags=row.get("flags", 0),
    )
    spec = replace(spec, attach_target=row.get("target"), sleepable=row.get("sleepable", False))
    message = row.get("message", "")
    return Case(f"{group}: {row['name']}", spec, "reject" if message else "accept", message)


def kernel_is_there() -> str | None:
    """Why the running kernel cannot be asked, or None."""
    return missing_right()


_SUMS = re.compile(
    r"^(; |processed \d+ insns|verification time|stack depth|mark_precise|\d+: |from \d+|cur state:|old state:|"
    r"subprog \d+ \(|func '\w+' arg\d+ has btf_id)"
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the running kernel says: the verdict, the line that says why, and how many instructions it followed."""

    verdict: str
    message: str
    processed: int


def ask_kernel(spec: ProgramSpec) -> Answer:
    """Load a program and forget it again."""
    try:
        with Kernel().load(spec, log_level=4) as loaded:
            return Answer("accept", "", _processed(loaded.log))
    except KernelError as error:
        # One message ends without a new line.
        log = error.log.replace("verification time", "\nverification time")
        lines = [line for line in log.splitlines() if line.strip() and not _SUMS.match(line)]
        return Answer("reject", lines[-1] if lines else "", _processed(error.log))


def _processed(log: str) -> int:
    found = re.search(r"^processed (\d+) insns", log, re.MULTILINE)
    return int(found[1]) if found else 0
