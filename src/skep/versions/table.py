"""How the tables of versions are written: a version, and the names of what came with it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from skep.versions.version import KernelVersion


def by_name(rows: Mapping[str, str]) -> Mapping[str, KernelVersion]:
    """From names by version to the version by name, in the order of the rows. A name may stand in one row only."""
    found: dict[str, KernelVersion] = {}
    for version, names in rows.items():
        for name in names.split():
            if name in found:
                raise ValueError(f"{name} stands in two rows")
            found[name] = KernelVersion.of(version)
    return MappingProxyType(found)
