"""A hash map holds what a dict would, under the kernel's rules for flags, whatever its keys, sizes and history."""

from __future__ import annotations

import errno
import random
import resource
from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from skep.errors import MapError, RequestError
from skep.maps import EXIST, LOCK, NOEXIST, Map, create
from skep.memory import AddressSpace, RegionKind
from skep.objects.kinds import MapType

from .support import locked_spec, made, spec


def refused(operation: Callable[..., object], *arguments: object) -> int:
    """The error number with which a map refuses; 0 if it does not."""
    try:
        operation(*arguments)
    except MapError as error:
        return error.errno or -1
    return 0


class HashModel(RuleBasedStateMachine):
    """The map and a dict do the same things."""

    kind = MapType.HASH

    @initialize(
        key_size=st.sampled_from([1, 2, 3, 4, 7, 8, 12, 16, 37]),
        value_size=st.sampled_from([1, 4, 8, 13, 64]),
        entries=st.sampled_from([1, 2, 11, 12, 40, 200]),
        flags=st.sampled_from([0, 1, 0x40]),
    )
    def make(self, key_size: int, value_size: int, entries: int, flags: int) -> None:
        self.space = AddressSpace()
        self.map: Map = create(spec(self.kind, key_size, value_size, entries, flags), 3, self.space)
        self.model: dict[bytes, bytes] = {}
        # Few different keys, so that operations meet; more than fit, so that the map is full at times.
        self.random = random.Random(key_size * value_size)
        self.keys = sorted({self.random.randbytes(key_size) for _ in range(entries + entries // 2 + 2)})

    def key(self, number: int) -> bytes:
        return self.keys[number % len(self.keys)]

    def value(self, number: int) -> bytes:
        return random.Random(number).randbytes(self.map.spec.value_size)

    @rule(number=st.integers(0, 400), value=st.integers(0, 1000), flags=st.sampled_from([0, 0, NOEXIST, EXIST, 3, 8]))
    def update(self, number: int, value: int, flags: int) -> None:
        key = self.key(number)
        expected = 0
        if flags > EXIST:
            expected = errno.EINVAL
        elif flags == NOEXIST and key in self.model:
            expected = errno.EEXIST
        elif flags == EXIST and key not in self.model:
            expected = errno.ENOENT
        elif key not in self.model and len(self.model) == self.map.spec.max_entries:
            expected = errno.E2BIG
        assert refused(self.map.update, key, self.value(value), flags) == expected
        if not expected:
            self.model[key] = self.value(value)

    @rule(number=st.integers(0, 400))
    def delete(self, number: int) -> None:
        key = self.key(number)
        assert refused(self.map.delete, key) == (0 if self.model.pop(key, None) else errno.ENOENT)

    @rule(first=st.integers(0, 400))
    def fill(self, first: int) -> None:
        for number in range(first, first + 60):
            self.update(number, number, 0)

    @rule(first=st.integers(0, 400))
    def drain(self, first: int) -> None:
        for number in range(first, first + 60):
            self.delete(number)

    @rule()
    def clear(self) -> None:
        self.map.clear()
        self.model.clear()

    def expected(self, value: bytes | None) -> bytes | None:
        return value

    @rule(number=st.integers(0, 400))
    def lookup(self, number: int) -> None:
        key = self.key(number)
        assert self.map.lookup(key) == self.expected(self.model.get(key))

    @invariant()
    def same_contents(self) -> None:
        items = list(self.map.items())
        assert len(items) == len(self.model)
        assert dict(items) == {key: self.expected(value) for key, value in self.model.items()}

    def teardown(self) -> None:
        self.map.close()
        assert self.space.regions == ()


class PerCpuHashModel(HashModel):
    """The same with a value for each CPU; an update from Python with one value stores it for all."""

    kind = MapType.PERCPU_HASH

    def expected(self, value: bytes | None) -> bytes | None:
        return None if value is None else value.ljust(self.map.stride, b"\0") * 3


_SETTINGS = settings(max_examples=25, stateful_step_count=25, deadline=None)
TestHash = HashModel.TestCase
TestHash.settings = _SETTINGS
TestPerCpuHash = PerCpuHashModel.TestCase
TestPerCpuHash.settings = _SETTINGS


def test_a_chain_of_overflow_buckets_keeps_every_entry() -> None:
    # One bucket bit: two chains for all keys.
    with made(MapType.HASH, 4, 4, 12) as map:
        for start in range(50):
            for number in range(start, start + 12):
                map[number] = number
            assert refused(map.update, b"\xff" * 4, b"\0" * 4) == errno.E2BIG
            assert sorted(map.decoded()) == [(number, number) for number in range(start, start + 12)]
            for number in range(start, start + 12):
                del map[number]
        assert len(map) == 0


def test_elements_are_found_by_address_and_their_bounds_kept() -> None:
    with AddressSpace() as space, create(spec(MapType.HASH, 4, 12, 100), 1, space) as map:
        values = [region for region in space.regions if region.kind is RegionKind.MAP_VALUE]
        assert [(region.element_size, region.writable) for region in values] == [(12, True)]
        assert space.find(map.address) is not None
        assert not space.find(map.address).writable  # type: ignore[union-attr]


def test_values_that_programs_may_only_read() -> None:
    with AddressSpace() as space, create(spec(MapType.HASH, 4, 12, 100, 0x80), 1, space):
        assert not any(region.writable for region in space.regions)


def test_per_cpu_values_are_set_one_by_one_or_all_at_once() -> None:
    with made(MapType.PERCPU_HASH, 4, 4, 4, cpus=3) as map:
        map[1] = [10, 20, 30]
        assert map[1] == [10, 20, 30]
        map[1] = 7
        assert map[1] == [7, 7, 7]
        with pytest.raises(RequestError, match="needs 3 values, one a CPU, not 2"):
            map[1] = [1, 2]
        assert refused(map.update, bytes(4), bytes(24), LOCK) == errno.EINVAL


def test_the_lock_in_a_value_is_no_part_of_what_is_copied() -> None:
    with AddressSpace() as space, create(locked_spec(MapType.HASH), 1, space) as map:
        value = bytes(range(1, 17))
        key = bytes(4)
        map.update(key, value)
        assert map.lookup(key) == value[:8] + bytes(4) + value[12:]
        map.update(key, bytes(range(101, 117)), LOCK)
        assert map.lookup(key, LOCK) == bytes(range(101, 109)) + bytes(4) + bytes(range(113, 117))
        map.update(bytes(3) + b"\1", value, LOCK)
        assert len(map) == 2


def test_what_cannot_be_done_says_why() -> None:
    with made(MapType.HASH, 4, 4, 4) as map:
        with pytest.raises(RequestError, match="a key of map m has 4 bytes, not 3"):
            map.lookup(b"abc")
        with pytest.raises(RequestError, match="a value of map m has 4 bytes, not 5"):
            map.update(b"abcd", b"abcde")
        with pytest.raises(MapError, match=r"map m refuses delete \(ENOENT\): the key is not there"):
            del map[5]
        with pytest.raises(KeyError):
            map[5]
        with pytest.raises(RequestError, match="4294967296 does not fit the 4 bytes of a key"):
            map[1 << 32]
        assert refused(map.lookup, b"abcd", LOCK) == errno.EINVAL
        map.freeze()
        assert refused(map.update, b"abcd", b"abcd") == errno.EPERM


def test_a_large_map_costs_what_is_used_of_it() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with made(MapType.HASH, 8, 1000, 5_000_000) as map:
        map[7] = bytes(1000)
        assert list(map.decoded()) == [(7, bytes(1000))]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000
