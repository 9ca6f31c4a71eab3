"""CPUs that use one hash map at once: nothing is missed that is there, nothing lost, no element leaks.

The work is compiled code of the same functions that programs call, on threads without the interpreter lock.
"""

from __future__ import annotations

import ctypes
import threading
from typing import Any

import pytest

from skep.lang import (
    Ptr,
    address_of,
    atomic_add,
    atomic_load,
    atomic_store,
    cast,
    compile_host,
    function,
    size_of,
    struct,
    u8,
    u32,
    u64,
    view,
)
from skep.lang.target import HOST
from skep.locks import lock_for
from skep.maps import Map, MapFlag, create
from skep.maps.functions import delete_any, lookup_any, update_any
from skep.maps.hash_layout import SLOTS, HashMap, Shard
from skep.maps.hashing import hash_key
from skep.maps.layout import MapHead
from skep.memory import AddressSpace, Cpu, CpuBlock
from skep.objects.kinds import MapType
from skep.objects.spec import MapSpec
from skep.stdlib.random import get_prandom_u32

_lock = lock_for(HOST.arch)
_update = update_any.specialise(acquire=_lock.lock_outside, release=_lock.unlock)


@struct
class Report:
    """What a worker saw: operations done, and errors by kind."""

    operations: u64
    missed: u64
    phantoms: u64
    wrong: u64
    refused: u64


@struct
class Words:
    """A key, a value and a foreign key in memory."""

    key: u64
    value: u64
    foreign: u64


@function
def _churn(cpu: Ptr[Cpu], map: Ptr[MapHead], rounds: u64, owned: Ptr[u8], keys: u32, report: Ptr[Report]) -> None:
    """Work on the keys of this CPU (its number in the upper half); look up the first of others, always there."""
    words = Words()
    place = cast(Ptr[u8], address_of(words.key))
    for _ in range(rounds):
        what = get_prandom_u32(cpu)
        number = get_prandom_u32(cpu) % keys
        words.key = u64(cpu.id) << 32 | u64(number)
        words.value = words.key ^ 0xABCDEF
        if what & 3 == 0:
            words.foreign = u64(what >> 8) % u64(cpu.cpus) << 32
            if not lookup_any(cpu, map, cast(Ptr[u8], address_of(words.foreign))):
                report.missed += 1
        elif what & 3 == 1:
            found = lookup_any(cpu, map, place)
            if not found:
                if owned[number] != 0:
                    report.missed += 1
            elif owned[number] == 0:
                report.phantoms += 1
            elif cast(Ptr[u64], found)[0] != words.value:
                report.wrong += 1
        elif what & 3 == 2 or number == 0:
            if _update(cpu, map, place, cast(Ptr[u8], address_of(words.value)), u64(0)) != 0:
                report.refused += 1
            owned[number] = u8(1)
        else:
            if (delete_any(cpu, map, place) == 0) != (owned[number] != 0):
                report.wrong += 1
            owned[number] = u8(0)
        report.operations += 1


def _on_threads(cpus: CpuBlock, work: Any) -> None:
    failures: list[BaseException] = []

    def guarded(number: int) -> None:
        try:
            work(number)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(len(cpus))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def _free_elements(map: Map) -> list[int]:
    """Every element that a list, a fresh range or a spare has."""
    table: Any = view(HashMap, map.address)
    links: Any = table.links
    free = []
    for number in range(table.shard_count):
        shard: Any = view(Shard, table.shards + number * size_of(Shard))
        assert shard.spare
        free.append(shard.spare)
        free += range(shard.fresh, shard.fresh_end)
        index = shard.head
        while index:
            free.append(index)
            index = ctypes.c_uint32.from_address(links + 4 * index).value
    return free


@pytest.mark.parametrize("keys", [3, 40, 1000], ids=lambda keys: f"{keys} keys a CPU")
@pytest.mark.parametrize("threads", [2, 4])
def test_nothing_is_missed_lost_or_leaked(keys: int, threads: int) -> None:
    compile_host([_churn])
    entries = keys * threads
    with AddressSpace() as space:
        cpus = CpuBlock(threads, seed=1)
        spec = MapSpec("m", MapType.HASH, 8, 8, entries)
        with create(spec, threads, space) as map:
            owned = [bytearray(keys) for _ in range(threads)]
            reports = [Report() for _ in range(threads)]
            for number in range(threads):
                owned[number][0] = 1
                map[number << 32] = number << 32 ^ 0xABCDEF

            def work(number: int) -> None:
                mine = (ctypes.c_ubyte * keys).from_buffer(owned[number])
                cpu = cpus.address(number)
                _churn(cpu, map.address, 150_000, ctypes.addressof(mine), keys, reports[number])  # type: ignore[arg-type]

            _on_threads(cpus, work)
            for report in reports:
                assert (report.missed, report.phantoms, report.wrong, report.refused) == (0, 0, 0, 0)
            expected = {cpu << 32 | n for cpu in range(threads) for n in range(keys) if owned[cpu][n]}
            assert dict(map.decoded()) == {key: key ^ 0xABCDEF for key in expected}
            table: Any = view(HashMap, map.address)
            free = _free_elements(map)
            assert len(free) == len(set(free)) == entries + table.shard_count - len(expected)
            map.clear()
            for number in range(entries):
                map[number] = number
            assert len(map) == entries


@function
def _count_up(cpu: Ptr[Cpu], map: Ptr[MapHead], rounds: u64) -> None:
    """Replace one value under EXIST for ever; another CPU deletes and inserts it in between."""
    words = Words()
    words.key = 7
    place = cast(Ptr[u8], address_of(words.key))
    for _ in range(rounds):
        words.value += 1
        _update(cpu, map, place, cast(Ptr[u8], address_of(words.value)), u64(0))
        if cpu.id == 0:
            delete_any(cpu, map, place)


def test_a_full_map_of_one_entry_survives_replacing_and_deleting() -> None:
    with AddressSpace() as space, create(MapSpec("m", MapType.HASH, 8, 8, 1), 3, space) as map:
        cpus = CpuBlock(3)
        _on_threads(cpus, lambda number: _count_up(cpus.address(number), map.address, 50_000))  # type: ignore[arg-type]
        map[7] = 1
        assert list(map.decoded()) == [(7, 1)]
        assert len(_free_elements(map)) == view(HashMap, map.address).shard_count


def test_python_reads_whole_values_while_programs_write() -> None:
    spec = MapSpec("m", MapType.HASH, 8, 8, 64)
    with AddressSpace() as space, create(spec, 2, space) as map:
        cpus = CpuBlock(2, seed=3)
        reports = [Report(), Report()]
        marks = [(ctypes.c_ubyte * 32)() for _ in range(2)]
        for number in range(2):
            marks[number][0] = 1
            map[number << 32] = number << 32 ^ 0xABCDEF
        worker = threading.Thread(
            target=_on_threads,
            args=(
                cpus,
                lambda number: _churn(
                    cpus.address(number),  # type: ignore[arg-type]
                    map.address,  # type: ignore[arg-type]
                    300_000,
                    ctypes.addressof(marks[number]),  # type: ignore[arg-type]
                    32,
                    reports[number],  # type: ignore[arg-type]
                ),
            ),
        )
        worker.start()
        rounds = 0
        while worker.is_alive() or not rounds:
            for key, value in map.items():
                assert int.from_bytes(key, "little") ^ 0xABCDEF == int.from_bytes(value, "little")
            assert map[0] == 0xABCDEF
            rounds += 1
        worker.join()
        assert all((r.missed, r.phantoms, r.wrong) == (0, 0, 0) for r in reports)


@function
def _scramble(cpu: Ptr[Cpu], map: Ptr[MapHead], rounds: u64, keys: u32) -> None:
    """Insert, replace and remove any keys, more than the map has room for."""
    words = Words()
    place = cast(Ptr[u8], address_of(words.key))
    for _ in range(rounds):
        what = get_prandom_u32(cpu)
        words.key = u64(get_prandom_u32(cpu) % keys)
        if what & 7 < 4:
            _update(cpu, map, place, cast(Ptr[u8], address_of(words.value)), u64(0))
        else:
            delete_any(cpu, map, place)


@pytest.mark.parametrize("entries", [1, 5, 30])
def test_elements_are_neither_lost_nor_doubled_when_lists_are_empty(entries: int) -> None:
    """Every CPU takes from every list, because each is soon empty."""
    with AddressSpace() as space, create(MapSpec("m", MapType.HASH, 8, 8, entries), 4, space) as map:
        cpus = CpuBlock(4, seed=5)
        compile_host([_scramble])
        work: Any = _scramble
        for _ in range(4):
            _on_threads(cpus, lambda number: work(cpus.address(number), map.address, 60_000, entries + 4))
            table: Any = view(HashMap, map.address)
            free = _free_elements(map)
            assert len(free) == len(set(free)) == entries + table.shard_count - len(map)


@struct(align=128)
class Shared:
    """What writer and readers of one chain tell each other."""

    generation: u64
    present: u64
    stop: u64


@function
def _move(cpu: Ptr[Cpu], map: Ptr[MapHead], keys: Ptr[u64], count: u32, rounds: u64, shared: Ptr[Shared]) -> None:
    """Add a key at the end of a full chain, announce it, and remove an earlier one, whose place it then gets."""
    last = cast(Ptr[u8], address_of(keys[count - 1]))
    words = Words()
    value = cast(Ptr[u8], address_of(words.value))
    for _ in range(rounds):
        earlier = cast(Ptr[u8], address_of(keys[get_prandom_u32(cpu) % (count - 1)]))
        _update(cpu, map, last, value, u64(0))
        atomic_store(address_of(shared.present), keys[count - 1])
        delete_any(cpu, map, earlier)
        atomic_store(address_of(shared.present), u64(0))
        atomic_add(address_of(shared.generation), u64(1))
        delete_any(cpu, map, last)
        _update(cpu, map, earlier, value, u64(0))
    atomic_store(address_of(shared.stop), u64(1))


@function
def _watch(cpu: Ptr[Cpu], map: Ptr[MapHead], shared: Ptr[Shared]) -> u64:
    """How often an announced key was not found although it was announced before and after."""
    missed = u64(0)
    words = Words()
    while atomic_load(address_of(shared.stop)) == 0:
        generation = atomic_load(address_of(shared.generation))
        words.key = atomic_load(address_of(shared.present))
        found = words.key == 0 or u64(lookup_any(cpu, map, cast(Ptr[u8], address_of(words.key)))) != 0
        if not found and atomic_load(address_of(shared.generation)) == generation:
            missed += 1
    return missed


def test_an_entry_is_found_while_it_moves_within_its_chain() -> None:
    hash: Any = hash_key
    spec = MapSpec("m", MapType.HASH, 8, 8, 40, MapFlag.ZERO_SEED)
    with AddressSpace() as space, create(spec, 2, space) as map:
        table: Any = view(HashMap, map.address)
        chain = [key for key in range(1, 1000) if hash(ctypes.c_uint64(key), 8, 0) % (1 << 64) >> table.shift == 0][
            : 2 * SLOTS + 1
        ]
        for key in chain[:-1]:
            map[key] = 0
        keys, shared, cpus = (ctypes.c_uint64 * len(chain))(*chain), Shared(), CpuBlock(2)
        compile_host([_move, _watch])
        move: Any = _move
        watch: Any = _watch
        missed = []

        def work(number: int) -> None:
            if number == 0:
                move(cpus.address(0), map.address, keys, len(chain), 400_000, shared)
            else:
                missed.append(watch(cpus.address(1), map.address, shared))

        _on_threads(cpus, work)
        assert missed == [0]
        assert {key for key, _ in map.decoded()} == set(chain[:-1])
        # All overflow buckets but the one in use are free again.
        assert table.overflow_fresh <= 4
