"""Spin locks in four bytes, one file an algorithm, and the table that chooses one for an architecture."""

from __future__ import annotations

from skep.locks.arch import ARCHITECTURES, LOCKS, Lock, lock_for

__all__ = ["ARCHITECTURES", "LOCKS", "Lock", "lock_for"]
