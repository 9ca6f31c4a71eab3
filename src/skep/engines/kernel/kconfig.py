"""How the running kernel was configured: the ``CONFIG_…`` options, where it tells them.

They are in ``/proc/config.gz`` (CONFIG_IKCONFIG_PROC), or in a file beside the kernel image. An option that is off
is not there at all.
"""

from __future__ import annotations

import gzip
import platform
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from skep.errors import KernelError

_COMPRESSED = Path("/proc/config.gz")
_PLACES = ("/boot/config-{release}", "/lib/modules/{release}/config", "/usr/lib/modules/{release}/config")


def parse_config(lines: Iterable[str]) -> dict[str, str]:
    """The options of a ``.config``: name to ``y``, ``m``, a number or a text in quotes, as written."""
    options = {}
    for line in lines:
        name, equals, value = line.strip().partition("=")
        if equals and name.startswith("CONFIG_"):
            options[name] = value
    return options


@cache
def kernel_config() -> Mapping[str, str]:
    """The options of the running kernel; raises KernelError where it does not tell them."""
    release = platform.release()
    if _COMPRESSED.exists():
        try:
            with gzip.open(_COMPRESSED, "rt", encoding="utf-8", errors="replace") as stream:
                return parse_config(stream)
        except OSError as error:
            raise KernelError(f"{_COMPRESSED} cannot be read: {error}", errno=error.errno) from error
    for place in (Path(template.format(release=release)) for template in _PLACES):
        try:
            return parse_config(place.read_text(encoding="utf-8", errors="replace").splitlines())
        except OSError:
            continue
    raise KernelError(
        "the running kernel does not tell how it was configured: neither /proc/config.gz nor "
        f"/boot/config-{release} can be read"
    )


def kernel_version() -> int:
    """The version of the running kernel as programs compare it: major, minor and patch, a byte each (patch at most
    255).
    """
    parts = []
    for part in platform.release().split("-")[0].split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        parts.append(int(digits or 0))
    major, minor, patch = (*parts, 0, 0, 0)[:3]
    return major << 16 | minor << 8 | min(patch, 255)
