"""Addresses of the kernel's symbols, from ``/proc/kallsyms``, which shows them only to those who may know
(CAP_SYSLOG).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from skep.errors import KernelError

_FILE = Path("/proc/kallsyms")


@cache
def _symbols() -> dict[str, int]:
    try:
        text = _FILE.read_text(encoding="ascii", errors="replace")
    except OSError as error:
        raise KernelError(f"{_FILE} cannot be read: {error.strerror}", errno=error.errno) from error
    found: dict[str, int] = {}
    for line in text.splitlines():
        address, _, name = line.split()[:3]
        found.setdefault(name, int(address, 16))
    return found


def symbol_address(name: str) -> int | None:
    """The address of a kernel symbol, None if there is none; raises KernelError where addresses are hidden."""
    address = _symbols().get(name)
    if address == 0 and not any(_symbols().values()):
        raise KernelError(
            f"the address of {name!r} is hidden: /proc/kallsyms shows zeroes to a process without CAP_SYSLOG "
            "(see kernel.kptr_restrict)"
        )
    return address


def has_symbol(name: str) -> bool:
    """Whether the kernel has a symbol of that name, its address hidden or not."""
    return name in _symbols()
