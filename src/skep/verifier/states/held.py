"""What a path holds and has to give back: references and locks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class Reference:
    """Something acquired that has to be given back: its id, and the instruction that acquired it."""

    id: int
    instruction: int


class LockKind(Enum):
    """How a lock was taken."""

    SPIN = "bpf_spin_lock"
    RESILIENT = "bpf_res_spin_lock"
    RESILIENT_IRQ = "bpf_res_spin_lock_irqsave"

    # Members are compared by identity.
    __hash__ = object.__hash__

    @property
    def title(self) -> str:
        """What messages call it, without ``_lock``."""
        return "bpf_spin" if self is LockKind.SPIN else "bpf_res_spin"


@dataclass(frozen=True, slots=True)
class HeldLock:
    """A lock that is held: what it lies in (the map, or the types of the object), the ``id`` of the pointer to it."""

    subject: object
    id: int
    kind: LockKind = LockKind.SPIN
    #: The last id that there was when it was taken: what was acquired later has a greater one.
    since: int = 0
