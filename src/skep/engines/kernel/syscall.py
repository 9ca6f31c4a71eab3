"""bpf(2) itself: one function that makes the call, and the error that it raises when the kernel says no.

The C library has no wrapper for bpf(2), so the call goes through ``syscall(2)``, whose number differs per
architecture. ctypes releases the interpreter lock during the call, and keeps ``errno`` apart per thread. Source of
the numbers: the system call tables of Linux 6.18.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import sys
from collections.abc import Callable
from functools import cache

from skep.engines.kernel.attributes import Command
from skep.engines.kernel.rights import Kind, missing_right
from skep.errors import KernelError
from skep.objects.kinds import ProgramType

#: The number of bpf(2) by machine name as uname(2) has it; a 32-bit process on a 64-bit kernel has the other entry.
_NUMBERS: dict[tuple[str, bool], int] = {
    ("x86_64", True): 321,
    ("x86_64", False): 357,
    ("i686", False): 357,
    ("i586", False): 357,
    ("aarch64", True): 280,
    ("aarch64", False): 386,
    ("armv7l", False): 386,
    ("armv6l", False): 386,
    ("riscv64", True): 280,
    ("riscv32", False): 280,
    ("loongarch64", True): 280,
    ("ppc64le", True): 361,
    ("ppc64", True): 361,
    ("ppc", False): 361,
    ("s390x", True): 351,
    ("sparc64", True): 349,
    ("mips64", True): 5315,
    ("mips", False): 4355,
    ("parisc64", True): 341,
    ("alpha", True): 515,
}

#: The kernel's own error "operation is not supported", which has no name in user space.
ENOTSUPP = 524

#: How often a request is repeated that a signal cut short.
_ATTEMPTS = 5


@cache
def bpf_function() -> Callable[[int, ctypes.Structure], int]:
    """The function that makes the call, found once; raises where there is no bpf(2) at all."""
    if not sys.platform.startswith("linux"):
        raise KernelError(
            f"the kernel engine needs Linux, and this system is {platform.system() or sys.platform}; "
            "use the interpreter or the JIT",
            errno=errno.ENOSYS,
        )
    machine = platform.machine()
    number = _NUMBERS.get((machine, sys.maxsize > 2**32))
    if number is None:
        raise KernelError(f"the number of bpf(2) on {machine} is not known to skep", errno=errno.ENOSYS)
    syscall = ctypes.CDLL(None, use_errno=True).syscall
    syscall.restype = ctypes.c_long

    def bpf(command: int, attribute: ctypes.Structure) -> int:
        size = ctypes.sizeof(attribute)
        result: int = syscall(
            ctypes.c_long(number), ctypes.c_long(command), ctypes.byref(attribute), ctypes.c_long(size)
        )
        return result

    return bpf


def attempt(command: Command, attribute: ctypes.Structure) -> tuple[int, int]:
    """Make the call; returns its result and 0, or -1 and the error number. ``attribute`` is written by the kernel."""
    bpf = bpf_function()
    for _ in range(_ATTEMPTS):
        result = bpf(command, attribute)
        if result >= 0:
            return result, 0
        number = ctypes.get_errno()
        # A signal interrupts the verifier with EAGAIN before anything has been made.
        if number != errno.EAGAIN or command != Command.PROG_LOAD:
            break
    return -1, number


def request(command: Command, attribute: ctypes.Structure, what: str, kind: Kind = None) -> int:
    """Make the call and return its result; raises KernelError, whose sentence begins with ``what`` ("creating …")."""
    result, number = attempt(command, attribute)
    if number:
        raise refusal(number, what, kind)
    return result


def refusal(number: int, what: str, kind: Kind = None, log: str = "") -> KernelError:
    """The error for what the kernel answered: the missing right if that is the cause, or else its own word for it."""
    if number == errno.ENOSYS:
        cause = "this kernel has no bpf(2): it was built without CONFIG_BPF_SYSCALL"
    elif number in (errno.EPERM, errno.EACCES) and (missing := missing_right(kind)):
        cause = missing
    elif number == ENOTSUPP:
        cause = "this kernel does not support it"
    else:
        cause = f"{os.strerror(number)} ({errno.errorcode.get(number, number)})"
        if number == errno.EPERM and isinstance(kind, ProgramType):
            cause += ", though this process has the rights: a security module or a sandbox may forbid this type"
    return KernelError(f"{what}: {cause}", errno=number, log=log)
