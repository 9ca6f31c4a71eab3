"""Program types: context, memory of one run, return values. ``of(ProgramType.XDP)`` is what XDP programs are."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from skep.errors import UnsupportedError
from skep.objects.kinds import ProgramType
from skep.programs import flow_dissector, raw, skb, xdp
from skep.programs.field import ContextField, FieldKind
from skep.programs.kind import Output, ProgramKind
from skep.programs.returns import return_range

#: Every program type that has a description here, in the order of the kernel's numbers.
KINDS: Mapping[ProgramType, ProgramKind] = MappingProxyType(
    {
        kind.type: kind
        for kind in sorted((raw.RAW, xdp.XDP, flow_dissector.FLOW_DISSECTOR, *skb.KINDS), key=lambda kind: kind.type)
    }
)


def of(program: ProgramType) -> ProgramKind:
    """What a program type is. Raises UnsupportedError for one that has no description here."""
    try:
        return KINDS[program]
    except KeyError:
        known = ", ".join(kind.label for kind in KINDS.values())
        raise UnsupportedError(
            f"programs of type {program.label} cannot run here: their context is not known; known are {known}"
        ) from None


__all__ = ["KINDS", "ContextField", "FieldKind", "Output", "ProgramKind", "of", "return_range"]
