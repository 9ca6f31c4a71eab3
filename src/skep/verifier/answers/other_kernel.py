"""What a report says of a kernel other than the one whose rules were applied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skep.versions import KernelVersion, Need


@dataclass(frozen=True, slots=True)
class OtherKernel:
    """``missing`` is what the program needs and ``version`` does not have, in the order in which it would say so.

    ``lowest`` is the first version that has all that the program needs, ``notes`` are sentences on what the verdict
    rests on.
    """

    version: KernelVersion
    lowest: KernelVersion
    missing: tuple[Need, ...] = ()
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The fields that the report has in addition."""
        return {
            "lowest_kernel": str(self.lowest),
            "missing": [need.as_json() for need in self.missing],
            "notes": list(self.notes),
        }
