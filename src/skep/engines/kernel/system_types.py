"""The types of the running kernel and of its modules, and what is found in them by name: kfuncs, variables, attach
points.

``/sys/kernel/btf`` holds one file for the kernel and one for every module that carries BTF. A program refers to
them by number: an id within that BTF, and for a module the descriptor of its BTF. Files are read when first asked
for.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from skep.btf.btf import Btf
from skep.btf.kinds import Kind
from skep.engines.kernel.information import loaded_ids
from skep.engines.kernel.types import KernelBtf
from skep.errors import KernelError

_DIRECTORY = Path("/sys/kernel/btf")
_KERNEL = "vmlinux"


@dataclass(frozen=True, slots=True)
class FoundType:
    """A type of the kernel (``module`` empty) or of a module, by its id there."""

    id: int
    module: str = ""


@cache
def kernel_btf() -> Btf:
    """The types of the running kernel; raises KernelError if it was built without them."""
    try:
        return Btf.parse((_DIRECTORY / _KERNEL).read_bytes())
    except OSError as error:
        raise KernelError(
            f"the running kernel does not tell its types: {_DIRECTORY / _KERNEL} cannot be read "
            f"({error.strerror}); it needs CONFIG_DEBUG_INFO_BTF",
            errno=error.errno,
        ) from error


def module_names() -> list[str]:
    """The modules that carry BTF, sorted; none where the kernel has no BTF either."""
    try:
        return sorted(path.name for path in _DIRECTORY.iterdir() if path.name != _KERNEL)
    except OSError:
        return []


@cache
def module_btf(name: str) -> Btf:
    """The types of a module, which continue those of the kernel."""
    try:
        data = (_DIRECTORY / name).read_bytes()
    except OSError as error:
        raise KernelError(
            f"the types of module {name!r} cannot be read: {error.strerror}", errno=error.errno
        ) from error
    return Btf.parse(data, kernel_btf())


def find_type(name: str, kind: Kind) -> FoundType | None:
    """A type by name and kind, in the kernel first and then in each module; None where there is none."""
    found = kernel_btf().find(name, kind)
    if found is not None:
        return FoundType(found)
    for module in module_names():
        btf = module_btf(module)
        own = [type_id for type_id in btf.find_all(name, kind) if type_id >= len(kernel_btf())]
        if own:
            return FoundType(own[0], module)
    return None


def open_module_btf(name: str) -> KernelBtf:
    """A descriptor of a module's BTF; raises KernelError if the module has gone. Needs CAP_SYS_ADMIN."""
    for identity in loaded_ids("btf"):
        try:
            handle = KernelBtf.open_id(identity)
        except KernelError as error:
            if error.errno == errno.ENOENT:
                continue
            raise
        info = handle.information(with_data=False)
        if info.of_kernel and info.name == name:
            return handle
        handle.close()
    raise KernelError(f"the BTF of module {name!r} is not loaded", errno=errno.ENOENT)
