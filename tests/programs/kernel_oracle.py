"""The running kernel as an oracle: load a few instructions, read the verifier's answer, run them once on a packet.

A thin layer over bpf(2) through ctypes, for tests only; it never attaches anything. ``available()`` says
whether this process may ask. Layout of the requests: ``union bpf_attr`` of the kernel's user-space interface.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import platform
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from skep.isa.instruction import Instruction

_SYSCALL_NUMBERS = {"x86_64": 321, "aarch64": 280, "riscv64": 280}
_MAP_CREATE, _MAP_UPDATE, _PROG_LOAD, _TEST_RUN = 0, 2, 5, 10
_libc = ctypes.CDLL(None, use_errno=True)


def _bpf(command: int, attr: bytes | bytearray) -> tuple[int, bytes]:
    """The result (negative: minus the error number) and the request as the kernel left it."""
    buffer = ctypes.create_string_buffer(bytes(attr), len(attr))
    result = _libc.syscall(_SYSCALL_NUMBERS[platform.machine()], command, buffer, len(attr))
    return (result if result >= 0 else -ctypes.get_errno()), buffer.raw


def encode(instructions: Sequence[Instruction]) -> bytes:
    """Little-endian slots."""
    return b"".join(struct.pack("<BBhi", i.opcode, i.dst | i.src << 4, i.offset, i.imm) for i in instructions)


@dataclass(frozen=True, slots=True)
class Answer:
    """What loading brought: a file descriptor, or a negative error number; and the verifier's log."""

    fd: int
    log: str

    @property
    def accepted(self) -> bool:
        return self.fd >= 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a test run brought; ``error`` is 0 or a positive error number, and then the rest means nothing."""

    error: int
    retval: int = 0
    data: bytes = b""
    context: bytes = b""


def load(
    program_type: int,
    instructions: Sequence[Instruction] | bytes,
    *,
    attach_type: int = 0,
    license: str = "GPL",
    log_level: int = 1,
    attach_btf_id: int = 0,
    flags: int = 0,
) -> Answer:
    """Load a program; the caller closes ``fd`` (see :func:`loaded`)."""
    code = instructions if isinstance(instructions, bytes) else encode(instructions)
    slots = ctypes.create_string_buffer(code, len(code))
    licence = ctypes.create_string_buffer(license.encode())
    log = ctypes.create_string_buffer(1 << 16)
    attr = bytearray(152)
    struct.pack_into(
        "<IIQQIIQII",
        attr,
        0,
        program_type,
        len(code) // 8,
        ctypes.addressof(slots),
        ctypes.addressof(licence),
        log_level,
        len(log) if log_level else 0,
        ctypes.addressof(log) if log_level else 0,
        0,
        flags,
    )
    struct.pack_into("<I", attr, 68, attach_type)
    struct.pack_into("<I", attr, 108, attach_btf_id)
    result, _ = _bpf(_PROG_LOAD, attr)
    return Answer(result, log.value.decode(errors="replace"))


@contextmanager
def loaded(program_type: int, instructions: Sequence[Instruction] | bytes, *, attach_type: int = 0) -> Iterator[int]:
    """The file descriptor of a program that the kernel accepted."""
    answer = load(program_type, instructions, attach_type=attach_type)
    assert answer.accepted, answer.log or os.strerror(-answer.fd)
    try:
        yield answer.fd
    finally:
        os.close(answer.fd)


def run_once(
    fd: int,
    data: bytes | None,
    *,
    context: bytes = b"",
    room: int = 1 << 16,
    flags: int = 0,
    context_room: int | None = None,
) -> Outcome:
    """Run a loaded program once (BPF_PROG_TEST_RUN) over ``data``, with ``context`` as its ``ctx_in``.

    The context is asked back only where one is given: a kernel that makes up a context for XDP counts all of the
    packet as fragments.
    """
    if context_room is None:
        context_room = 256 if context else 0
    data_in = ctypes.create_string_buffer(data or b"", max(1, len(data or b"")))
    data_out = ctypes.create_string_buffer(room or 1)
    context_in = ctypes.create_string_buffer(context, max(1, len(context)))
    context_out = ctypes.create_string_buffer(context_room or 1)
    attr = bytearray(80)
    struct.pack_into(
        "<IIIIQQIIIIQQII",
        attr,
        0,
        fd,
        0,
        len(data) if data is not None else 0,
        room,
        ctypes.addressof(data_in) if data is not None else 0,
        ctypes.addressof(data_out) if room else 0,
        1,
        0,
        len(context),
        context_room,
        ctypes.addressof(context_in) if context else 0,
        ctypes.addressof(context_out) if context_room else 0,
        flags,
        0,
    )
    result, attr_out = _bpf(_TEST_RUN, attr)
    if result < 0:
        return Outcome(error=-result)
    _, retval, _, size_out = struct.unpack_from("<IIII", attr_out)
    (context_size,) = struct.unpack_from("<I", attr_out, 44)
    return Outcome(0, retval, data_out.raw[:size_out], context_out.raw[:context_size])


@contextmanager
def created_map(map_type: int, key_size: int, value_size: int, entries: int, flags: int = 0) -> Iterator[int]:
    """The file descriptor of a new map."""
    attr = bytearray(72)
    struct.pack_into("<IIIII", attr, 0, map_type, key_size, value_size, entries, flags)
    fd, _ = _bpf(_MAP_CREATE, attr)
    if fd < 0:
        raise OSError(-fd, os.strerror(-fd))
    try:
        yield fd
    finally:
        os.close(fd)


def update_map(fd: int, key: bytes, value: bytes) -> int:
    """Store a value; the result is 0 or a positive error number."""
    key_buffer = ctypes.create_string_buffer(key, len(key))
    value_buffer = ctypes.create_string_buffer(value, len(value))
    attr = bytearray(32)
    struct.pack_into("<I4xQQQ", attr, 0, fd, ctypes.addressof(key_buffer), ctypes.addressof(value_buffer), 0)
    result, _ = _bpf(_MAP_UPDATE, attr)
    return max(0, -result)


@functools.cache
def available() -> bool:
    """Whether this process may load programs, and test-run them, on a kernel that is here and has pages of 4 KiB."""
    here = platform.system() == "Linux" and platform.machine() in _SYSCALL_NUMBERS
    if not here or os.sysconf("SC_PAGE_SIZE") != 4096:
        return False
    answer = load(6, [Instruction(0xB7, 0, 0, 0, 2), Instruction(0x95)])
    if not answer.accepted:
        assert -answer.fd in (errno.EPERM, errno.ENOSYS, errno.EACCES, errno.EINVAL), answer
        return False
    os.close(answer.fd)
    return True


@functools.cache
def version() -> tuple[int, int]:
    """Major and minor version of the running kernel."""
    major, minor = platform.release().split(".")[:2]
    return int(major), int("".join(character for character in minor if character.isdigit()))
