"""Regions of real memory, and the native layouts that programs, helpers and engines share."""

from __future__ import annotations

from skep.memory.region import AddressSpace, Region, RegionKind, allocate_zeroed

__all__ = ["AddressSpace", "Region", "RegionKind", "allocate_zeroed"]
