"""Regions are found by address exactly where they lie, and memory is zeroed, aligned and bounded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skep.errors import RequestError
from skep.memory import AddressSpace, Region, RegionKind


@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(0, 20)), min_size=1, max_size=12),
    st.lists(st.tuples(st.integers(0, 900), st.integers(1, 16)), max_size=40),
)
def test_find_agrees_with_a_search_through_all_regions(
    layout: list[tuple[int, int]], questions: list[tuple[int, int]]
) -> None:
    space, position, regions = AddressSpace(), 10, []
    for size, gap in layout:
        regions.append(space.add(Region("r", position, size)))
        position += size + gap
    for address, size in questions:
        expected = [r for r in regions if r.address <= address and address + size <= r.address + r.size]
        assert space.find(address, size) == (expected[0] if expected else None)


def test_neighbours_that_touch_are_no_one_region() -> None:
    space = AddressSpace()
    first, second = space.add(Region("a", 100, 8)), space.add(Region("b", 108, 8))
    assert space.find(107) == first
    assert space.find(108) == second
    assert space.find(104, 8) is None


def test_overlap_is_refused() -> None:
    space = AddressSpace()
    space.add(Region("a", 100, 8))
    for address, size in ((100, 8), (107, 1), (92, 9), (90, 40)):
        with pytest.raises(RequestError, match="overlaps"):
            space.add(Region("b", address, size))


def test_access_must_stay_within_one_element() -> None:
    space = AddressSpace()
    region = space.add(Region("values", 1000, 64, RegionKind.MAP_VALUE, stride=16, element_size=12))
    assert space.find(1000, 8) == region
    assert space.find(1008, 4) == region
    assert space.find(1008, 8) is None
    assert space.find(1012, 1) is None
    assert space.find(1016, 12) == region


def test_removed_region_is_not_found_even_after_it_was_found() -> None:
    space = AddressSpace()
    region = space.add(Region("a", 100, 8))
    assert space.find(100) == region
    space.remove(region)
    assert space.find(100) is None
    with pytest.raises(RequestError, match="not in this address space"):
        space.remove(region)


def test_nearest_names_the_place() -> None:
    space = AddressSpace()
    stack = space.add(Region("main", 1000, 512, RegionKind.STACK))
    packet = space.add(Region("packet", 4000, 60, RegionKind.PACKET))
    assert space.nearest(1520) == stack
    assert space.nearest(3990) == packet
    assert stack.describe(1520) == '8 bytes past the end of stack "main" (512 bytes at 0x3e8)'
    assert packet.describe(3999).startswith("1 byte before packet")
    assert AddressSpace().nearest(5) is None


@pytest.mark.parametrize("size", [1, 100, 65536, 1 << 20])
@pytest.mark.parametrize("align", [8, 64, 4096])
def test_allocated_memory_is_zeroed_aligned_and_writable(size: int, align: int) -> None:
    with AddressSpace() as space:
        region = space.allocate("m", size, align=align)
        assert region.address % align == 0
        assert region.read() == bytes(size)
        region.write(size - 1, b"\x7f")
        assert region.read(size - 1) == b"\x7f"
        assert region.view()[size - 1] == 0x7F
        with pytest.raises(RequestError, match="do not lie in"):
            region.write(size, b"x")
        space.remove(region)
        assert space.regions == ()


def test_impossible_sizes_are_refused() -> None:
    space = AddressSpace()
    with pytest.raises(RequestError, match="must be positive"):
        space.allocate("m", 0)
    with pytest.raises(RequestError, match="power of two"):
        space.allocate("m", 8, align=3)
    with pytest.raises(RequestError, match="does not have"):
        space.allocate("m", 1 << 62)
