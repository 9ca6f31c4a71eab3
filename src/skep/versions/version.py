"""The version of a Linux kernel, as people write it: ``5.15``, ``v5.15``, ``5.15.3``, ``5.15.0-91-generic``.

Only the release counts: what BPF programs may do changes with releases and not with the fixes to them. Known are the
releases of mainline Linux from 4.9 to 7.3; a distributor may have put later work into an earlier release.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Self

from skep.errors import RequestError

_TEXT: Final = re.compile(r"v?(\d{1,3})\.(\d{1,3})(?:\.\d+)*(?:[-+~_ ].*)?", re.ASCII | re.DOTALL)
#: Kernels of Red Hat and of those who rebuild them.
_RED_HAT: Final = re.compile(r"\.(el\d+|amzn1)")
#: The last release of each series; the one after it started the next series at 0.
_LAST: Final = {2: 6, 3: 19, 4: 20, 5: 19, 6: 19}


@dataclass(frozen=True, slots=True, order=True)
class KernelVersion:
    """A release of Linux. Versions are ordered as they came out."""

    major: int
    minor: int

    @classmethod
    def of(cls, text: str) -> Self:
        """The version that the tables write as ``text``: two numbers."""
        major, _, minor = text.partition(".")
        return cls(int(major), int(minor))

    @classmethod
    def parse(cls, text: str) -> Self:
        """The version that a person means. Raises RequestError for what is none, or one that nothing is known of."""
        found = _TEXT.fullmatch(text.strip())
        if found is None:
            raise RequestError(f"{text!r} is no kernel version: write it as 5.15, or as `uname -r` does")
        if _RED_HAT.search(text):
            raise RequestError(
                f"{text} is a distributor's kernel with the BPF of later releases than its number says: "
                f"name the release of mainline Linux to compare with, from {OLDEST} to {LATEST}"
            )
        version = cls(int(found[1]), int(found[2]))
        if not OLDEST <= version <= LATEST:
            raise RequestError(f"nothing is known of Linux {version}: known are {OLDEST} to {LATEST}")
        if version.minor > _LAST.get(version.major, LATEST.minor):
            raise RequestError(
                f"there is no Linux {version}: {version.major}.{_LAST[version.major]} was followed by "
                f"{version.major + 1}.0"
            )
        return version

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


#: The first and the last version that something is known of, and the one whose rules are applied.
OLDEST: Final = KernelVersion(4, 9)
LATEST: Final = KernelVersion(7, 3)
NEWEST: Final = KernelVersion(6, 18)
