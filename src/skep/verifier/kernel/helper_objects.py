"""Kernel objects as arguments and results of helpers: of which type, and how far they have to be trusted.

Rules and messages were observed on Linux 6.18.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from skep.stdlib import prototypes
from skep.stdlib.prototype import Argument, ArgumentFlag, ArgumentKind, HelperPrototype, Return, ReturnFlag
from skep.verifier.kernel import kernel_objects
from skep.verifier.kernel.kernel_types import KernelType
from skep.verifier.rejection import Rejection
from skep.verifier.states.register import MAYBE_NULL, TRUSTED, Kind, Register, register
from skep.verifier.steps.accesses import Access

if TYPE_CHECKING:
    from skep.verifier.paths.exploration import Explorer

_SK_RELEASE: Final = prototypes.number("sk_release")
#: Arguments that are memory, whatever holds it.
_MEMORY: Final = frozenset({ArgumentKind.MEMORY, ArgumentKind.MAP_KEY, ArgumentKind.MAP_VALUE})
#: What an argument that may be a kernel object has to be one of, where its kind says it.
_TYPES: Final = {ArgumentKind.BTF_SOCK_COMMON: "sock_common"}


def check_type(
    explorer: Explorer, prototype: HelperPrototype, index: int, pointer: Register, argument: Argument
) -> None:
    """Refuse an object of another type than a helper takes, or that it might write."""
    if argument.kind in _MEMORY:
        if not argument.flags & ArgumentFlag.READ_ONLY:
            raise Rejection(
                f"bpf_{prototype.name}() may write into memory pointed by R{index} type={pointer.type_name}",
                register=index,
                pointer=pointer,
            )
        return
    if argument.kind is not ArgumentKind.BTF_ID and argument.kind not in _TYPES:
        return
    wanted = explorer.context.kernel_types.struct(_TYPES.get(argument.kind, argument.type))
    found = pointer.subject
    assert isinstance(found, KernelType)
    releases = bool(argument.flags & ArgumentFlag.RELEASE)
    strict = releases and prototype.number != _SK_RELEASE
    if not kernel_objects.fits(found, wanted, pointer.offset, strict=strict):
        raise Rejection(f"R{index} is of type {found.name} but {wanted.name} is expected", register=index)


def check_read(explorer: Explorer, index: int, pointer: Register, size: int) -> None:
    """Refuse to have a helper read ``size`` bytes of an object that they do not all lie in."""
    if size:
        kernel_objects.access(explorer, Access(index, pointer, 0, size))


def returned(explorer: Explorer, returns: Return) -> Register:
    """The object that a helper returns."""
    flags = MAYBE_NULL if returns.maybe_null else 0
    if ReturnFlag.TRUSTED in returns.flags:
        flags |= TRUSTED
    return register(Kind.OBJECT, flags=flags, subject=explorer.context.kernel_types.struct(returns.type))
