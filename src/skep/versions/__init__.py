"""Which version of Linux has what: tables, and what a program needs by them."""

from skep.versions.need import Need, Needs
from skep.versions.program_needs import needs_beside_programs, needs_of
from skep.versions.version import LATEST, NEWEST, OLDEST, KernelVersion

__all__ = ["LATEST", "NEWEST", "OLDEST", "KernelVersion", "Need", "Needs", "needs_beside_programs", "needs_of"]
