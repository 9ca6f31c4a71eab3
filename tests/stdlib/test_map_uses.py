"""Which helpers take which maps: the table and the running kernel agree."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from skep.isa.instruction import Instruction
from skep.objects.kinds import AttachType, MapType, ProgramType
from skep.stdlib import map_uses, prototypes
from skep.stdlib.prototype import ArgumentKind, HelperPrototype
from tests.programs import kernel_oracle as kernel
from tests.stdlib import kernel_probe as probe

#: Sizes of key and value, entries and flags of a small map of each type that needs neither BTF nor another map.
SHAPES = {
    MapType.LPM_TRIE: (8, 4, 4, 1),
    MapType.STACK_TRACE: (4, 8, 4, 0),
    MapType.QUEUE: (0, 4, 4, 0),
    MapType.STACK: (0, 4, 4, 0),
    MapType.BLOOM_FILTER: (0, 4, 4, 0),
    MapType.RINGBUF: (0, 0, 4096, 0),
    MapType.USER_RINGBUF: (0, 0, 4096, 0),
    MapType.CGROUP_STORAGE: (8, 4, 0, 0),
    MapType.PERCPU_CGROUP_STORAGE: (8, 4, 0, 0),
}
NOT_MADE = {
    MapType.UNSPEC,
    MapType.STRUCT_OPS,
    MapType.ARRAY_OF_MAPS,
    MapType.HASH_OF_MAPS,
    MapType.SK_STORAGE,
    MapType.INODE_STORAGE,
    MapType.TASK_STORAGE,
    MapType.CGRP_STORAGE,
    MapType.ARENA,
}
ZERO = (ArgumentKind.ANYTHING,)
EIGHT = (ArgumentKind.SIZE, ArgumentKind.SIZE_OR_ZERO, ArgumentKind.ALLOCATION_SIZE)
STACK = (ArgumentKind.MAP_KEY, ArgumentKind.MAP_VALUE, ArgumentKind.MEMORY)


def _rows() -> Iterator[tuple[HelperPrototype, probe.Site]]:
    for row in prototypes.ROWS:
        if any(argument.kind is ArgumentKind.MAP for argument in row.arguments):
            for site in probe.SITES:
                own = prototypes.prototype(row.number, site.program) is row
                if own and prototypes.permitted(row.number, site.program, site.attach) and _code(row, 0):
                    yield row, site
                    break


def _code(row: HelperPrototype, fd: int) -> list[Instruction]:
    """A call with the map; empty if the helper wants what a bare program cannot pass."""
    code = [Instruction(0xBF, 6, 1), *(Instruction(0x7A, 10, 0, -8 * slot) for slot in range(1, 9))]
    for register, argument in enumerate(row.arguments, 1):
        if argument.kind is ArgumentKind.MAP:
            code += [Instruction(0x18, register, 1, 0, fd), Instruction(0)]
        elif argument.kind is ArgumentKind.CONTEXT:
            code.append(Instruction(0xBF, register, 6))
        elif argument.kind in STACK:
            code += [Instruction(0xBF, register, 10), Instruction(0x07, register, 0, 0, -64)]
        elif argument.kind is ArgumentKind.DYNPTR:
            code += [Instruction(0xBF, register, 10), Instruction(0x07, register, 0, 0, -80)]
        elif argument.kind in EIGHT:
            code.append(Instruction(0xB7, register, 0, 0, 8))
        elif argument.kind in ZERO or argument.maybe_null:
            code.append(Instruction(0xB7, register))
        else:
            return []
    return [*code, probe.call(row.number), *probe.EXIT]


@pytest.mark.skipif(not kernel.available() or kernel.version() != (6, 18), reason="needs bpf(2) of Linux 6.18")
@pytest.mark.parametrize(("row", "site"), list(_rows()), ids=[f"{row.name} {site.program}" for row, site in _rows()])
def test_the_kernel_takes_the_maps_that_the_table_says(row: HelperPrototype, site: probe.Site) -> None:
    if row.name not in map_uses.USES:
        pytest.skip("takes any map")
    with ExitStack() as maps:
        for kind in MapType:
            if kind in NOT_MADE:
                continue
            fd = maps.enter_context(kernel.created_map(kind, *SHAPES.get(kind, (4, 4, 4, 0))))
            answer = site.load(_code(row, fd))
            takes = map_uses.takes(row.name, kind, site.program, site.attach)
            if answer.accepted or "reference leak" in answer.log:
                assert takes, kind
            elif re.search("cannot pass map_type|expected prog array|zero-sized|forbidden|for sockmap", answer.log):
                assert not takes, (kind, answer.log)


def test_sockets_are_stored_by_some_program_types_only() -> None:
    assert map_uses.takes("map_update_elem", MapType.SOCKMAP)
    assert map_uses.takes("map_update_elem", MapType.SOCKMAP, ProgramType.XDP)
    assert not map_uses.takes("map_update_elem", MapType.SOCKMAP, ProgramType.SOCK_OPS)
    assert map_uses.takes("map_delete_elem", MapType.SOCKMAP, ProgramType.SOCK_OPS)
    assert not map_uses.takes("map_update_elem", MapType.SOCKMAP, ProgramType.TRACING, AttachType.TRACE_FENTRY)
    assert map_uses.takes("map_update_elem", MapType.SOCKMAP, ProgramType.TRACING, AttachType.TRACE_ITER)


def test_every_helper_that_takes_a_map_has_a_rule() -> None:
    takers = {row.name for row in prototypes.ROWS for one in row.arguments if one.kind is ArgumentKind.MAP}
    assert takers - set(map_uses.USES) == {"timer_init"}
    assert set(map_uses.USES) <= takers
