"""Maps of the kernel: each way to read and write them, one element or many, and what goes wrong."""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable
from dataclasses import replace

import pytest

from skep.engines.kernel import KernelMap, loaded_ids
from skep.engines.kernel.cpus import count_in_list, possible_cpus
from skep.engines.kernel.maps import EXIST, IMPLIED_FLAGS, NOEXIST
from skep.errors import KernelError, RequestError
from skep.objects import MapSpec, MapType

pytestmark = pytest.mark.usefixtures("nothing_left")

NO_PREALLOC = 1
MMAPABLE = 1 << 10


def number(value: int, size: int = 4) -> bytes:
    return struct.pack("=I" if size == 4 else "=Q", value)


HASH = MapSpec("table", MapType.HASH, 4, 8, 16)
ARRAY = MapSpec("list", MapType.ARRAY, 4, 8, 4)


def test_an_element_is_stored_found_and_removed() -> None:
    with KernelMap.create(HASH) as table:
        assert table.lookup(number(1)) is None
        table.update(number(1), number(10, 8))
        assert table.lookup(number(1)) == number(10, 8)
        assert table.delete(number(1))
        assert not table.delete(number(1))
        assert table.lookup(number(1)) is None


def test_flags_of_an_update_are_obeyed() -> None:
    with KernelMap.create(HASH) as table:
        with pytest.raises(KernelError) as missing:
            table.update(number(1), bytes(8), EXIST)
        table.update(number(1), bytes(8), NOEXIST)
        with pytest.raises(KernelError) as there:
            table.update(number(1), bytes(8), NOEXIST)
    assert (missing.value.errno, there.value.errno) == (errno.ENOENT, errno.EEXIST)


def test_a_full_map_says_so() -> None:
    with KernelMap.create(HASH) as table:
        for key in range(16):
            table.update(number(key), bytes(8))
        with pytest.raises(KernelError, match=r"updating map 'table' \(hash\): .*\(E2BIG\)"):
            table.update(number(16), bytes(8))


def test_every_element_is_seen_once() -> None:
    wanted = {number(key): number(key * key, 8) for key in range(16)}
    with KernelMap.create(HASH) as table:
        for key, value in wanted.items():
            table.update(key, value)
        assert dict(table.items()) == wanted
        assert len(list(table.keys())) == 16


@pytest.mark.parametrize("count", [0, 1, 7, 5000])
def test_batches_carry_the_whole_map(count: int) -> None:
    wanted = {number(key): number(key + 1, 8) for key in range(count)}
    with KernelMap.create(MapSpec("table", MapType.HASH, 4, 8, 6000)) as table:
        table.update_batch(wanted)
        assert table.lookup_batch() == wanted
        keys = list(wanted)
        table.delete_batch(keys[: count // 2])
        assert table.lookup_batch(delete=True) == {key: wanted[key] for key in keys[count // 2 :]}
        assert table.lookup_batch() == {}


def test_an_array_is_read_in_batches_too() -> None:
    with KernelMap.create(ARRAY) as table:
        table.update(number(2), number(5, 8))
        assert table.lookup_batch() == {number(key): number(5 if key == 2 else 0, 8) for key in range(4)}


@pytest.mark.parametrize("type", [MapType.PERCPU_HASH, MapType.PERCPU_ARRAY, MapType.LRU_PERCPU_HASH])
def test_a_per_cpu_value_has_a_piece_for_every_cpu(type: MapType) -> None:
    with KernelMap.create(MapSpec("counts", type, 4, 12, 8)) as table:
        pieces = [bytes([cpu]) * 12 for cpu in range(possible_cpus())]
        table.update(number(3), b"".join(piece + bytes(4) for piece in pieces))
        value = table.lookup(number(3))
        assert value is not None
        assert table.per_cpu_values(value) == pieces
        assert table.lookup_batch()[number(3)] == value


def test_queues_and_stacks_have_no_keys() -> None:
    with (
        KernelMap.create(MapSpec("first_in", MapType.QUEUE, 0, 4, 4)) as queue,
        KernelMap.create(MapSpec("last_in", MapType.STACK, 0, 4, 4)) as stack,
    ):
        for each in (queue, stack):
            for value in (1, 2, 3):
                each.push(number(value))
        assert queue.lookup(b"") == queue.take(b"") == number(1)
        assert stack.lookup(b"") == stack.take(b"") == number(3)
        assert queue.take(b"") == stack.take(b"") == number(2)
        assert queue.take(b"") == number(3)
        assert queue.take(b"") is None


def test_a_bloom_filter_answers_whether_it_may_hold_a_value() -> None:
    with KernelMap.create(MapSpec("seen", MapType.BLOOM_FILTER, 0, 4, 100)) as seen:
        assert not seen.contains(number(7))
        seen.push(number(7))
        assert seen.contains(number(7))


def test_the_longest_prefix_is_found() -> None:
    with KernelMap.create(MapSpec("routes", MapType.LPM_TRIE, 8, 4, 8, flags=NO_PREALLOC)) as routes:
        routes.update(number(8) + bytes([10, 0, 0, 0]), number(1))
        routes.update(number(16) + bytes([10, 1, 0, 0]), number(2))
        assert routes.lookup(number(32) + bytes([10, 1, 2, 3])) == number(2)
        assert routes.lookup(number(32) + bytes([10, 9, 2, 3])) == number(1)
        assert len(list(routes.items())) == 2


def test_a_frozen_map_is_read_only() -> None:
    with KernelMap.create(ARRAY) as table:
        table.freeze()
        with pytest.raises(KernelError) as caught:
            table.update(number(0), bytes(8))
    assert caught.value.errno == errno.EPERM


def test_a_map_is_opened_by_id_as_it_was_made() -> None:
    with KernelMap.create(HASH) as table:
        table.update(number(1), number(2, 8))
        identity = table.information().id
        assert identity in set(loaded_ids("map"))
        with KernelMap.open_id(identity) as same:
            assert same.spec == HASH
            assert same.lookup(number(1)) == number(2, 8)
    with pytest.raises(KernelError, match=f"opening the map with id {identity}"):
        KernelMap.open_id(identity)


#: One definition of every type that needs nothing but itself.
EVERY_TYPE = [
    MapSpec("m", MapType.HASH, 4, 8, 4),
    MapSpec("m", MapType.ARRAY, 4, 8, 4, flags=MMAPABLE),
    MapSpec("m", MapType.PROG_ARRAY, 4, 4, 4),
    MapSpec("m", MapType.PERF_EVENT_ARRAY, 4, 4, 4),
    MapSpec("m", MapType.PERCPU_HASH, 4, 8, 4),
    MapSpec("m", MapType.PERCPU_ARRAY, 4, 8, 4),
    MapSpec("m", MapType.STACK_TRACE, 4, 80, 4),
    MapSpec("m", MapType.CGROUP_ARRAY, 4, 4, 4),
    MapSpec("m", MapType.LRU_HASH, 4, 8, 4),
    MapSpec("m", MapType.LRU_PERCPU_HASH, 4, 8, 4),
    MapSpec("m", MapType.LPM_TRIE, 8, 8, 4, flags=NO_PREALLOC),
    MapSpec("m", MapType.DEVMAP, 4, 4, 4),
    MapSpec("m", MapType.SOCKMAP, 4, 4, 4),
    MapSpec("m", MapType.CPUMAP, 4, 4, 4),
    MapSpec("m", MapType.XSKMAP, 4, 4, 4),
    MapSpec("m", MapType.SOCKHASH, 4, 4, 4),
    MapSpec("m", MapType.CGROUP_STORAGE, 16, 8, 0),
    MapSpec("m", MapType.REUSEPORT_SOCKARRAY, 4, 8, 4),
    MapSpec("m", MapType.PERCPU_CGROUP_STORAGE, 16, 8, 0),
    MapSpec("m", MapType.QUEUE, 0, 8, 4),
    MapSpec("m", MapType.STACK, 0, 8, 4),
    MapSpec("m", MapType.DEVMAP_HASH, 4, 4, 4),
    MapSpec("m", MapType.RINGBUF, 0, 0, 4096),
    MapSpec("m", MapType.BLOOM_FILTER, 0, 8, 4, map_extra=3),
    MapSpec("m", MapType.USER_RINGBUF, 0, 0, 4096),
    MapSpec("m", MapType.ARENA, 0, 0, 4, flags=MMAPABLE),
]


@pytest.mark.parametrize("spec", EVERY_TYPE, ids=lambda spec: spec.type.label)
def test_every_type_is_made_and_told(spec: MapSpec) -> None:
    try:
        made = KernelMap.create(spec)
    except KernelError as error:
        if error.errno == errno.EINVAL:
            pytest.skip(f"this kernel has no {spec.type.label} maps")
        raise
    with made:
        told = made.information().spec
    assert told == replace(spec, flags=spec.flags | IMPLIED_FLAGS.get(spec.type, 0))


@pytest.mark.parametrize(
    ("request_it", "problem"),
    [
        (lambda table: table.lookup(b"\0"), "a key of map 'table' is 4 bytes, not 1"),
        (lambda table: table.update(bytes(4), b"\0"), "a value of map 'table' is 8 bytes, not 1"),
    ],
)
def test_a_key_or_value_of_the_wrong_size_is_refused(request_it: Callable[[KernelMap], object], problem: str) -> None:
    with KernelMap.create(HASH) as table, pytest.raises(RequestError, match=problem):
        request_it(table)


def test_an_impossible_map_is_refused_by_name() -> None:
    with pytest.raises(KernelError, match=r"creating map 'odd' \(array\): Invalid argument \(EINVAL\)"):
        KernelMap.create(MapSpec("odd", MapType.ARRAY, 3, 8, 4))


@pytest.mark.parametrize(("text", "count"), [("0\n", 1), ("0-3\n", 4), ("0-1,8", 9)])
def test_a_list_of_cpus_is_counted(text: str, count: int) -> None:
    assert count_in_list(text) == count
