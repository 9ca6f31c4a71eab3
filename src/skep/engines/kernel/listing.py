"""Everything that the kernel holds just now, whoever loaded it: programs, maps, BTF, and the links that attach
programs.

What goes away while it is listed is left out. Needs CAP_SYS_ADMIN.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from typing import TypeVar

from skep.engines.kernel.attributes import Command
from skep.engines.kernel.handle import open_by_id
from skep.engines.kernel.information import (
    BtfInformation,
    LinkInformation,
    MapInformation,
    ProgramInformation,
    btf_information,
    link_information,
    loaded_ids,
    map_information,
    program_information,
)
from skep.errors import KernelError

_Information = TypeVar("_Information")


def programs() -> Iterator[ProgramInformation]:
    """Every loaded program, with its code."""
    return _each("program", Command.PROG_GET_FD_BY_ID, program_information)


def maps() -> Iterator[MapInformation]:
    """Every map."""
    return _each("map", Command.MAP_GET_FD_BY_ID, map_information)


def types() -> Iterator[BtfInformation]:
    """Every BTF, without its bytes: those of the kernel and its modules are large."""
    return _each("btf", Command.BTF_GET_FD_BY_ID, lambda fd: btf_information(fd, with_data=False))


def links() -> Iterator[LinkInformation]:
    """Every attachment."""
    return _each("link", Command.LINK_GET_FD_BY_ID, link_information)


def _each(noun: str, command: Command, ask: Callable[[int], _Information]) -> Iterator[_Information]:
    for identity in loaded_ids(noun):
        try:
            fd = open_by_id(command, identity, noun)
        except KernelError as error:
            if error.errno == errno.ENOENT:
                continue
            raise
        try:
            yield ask(fd)
        finally:
            os.close(fd)
