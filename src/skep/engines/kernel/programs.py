"""Programs of the running kernel: load one with all that describes it, test-run it, look at what became of it.

Nothing is attached here: a program runs when `KernelProgram.run` asks for a test run, and nowhere else.
Source: bpf(2), Documentation/bpf/bpf_prog_run.rst, ``include/uapi/linux/bpf.h`` of Linux 6.18.
"""

from __future__ import annotations

import errno
import os
import re
from array import array
from collections.abc import Mapping, Sequence
from ctypes import addressof, create_string_buffer
from dataclasses import dataclass
from types import MappingProxyType
from typing import Self

from skep.engines.kernel import handle
from skep.engines.kernel.attributes import Command, ProgramBindMap, ProgramLoad, TestRun
from skep.engines.kernel.handle import Handle
from skep.engines.kernel.information import ProgramInformation, program_information
from skep.engines.kernel.maps import KernelMap, object_name
from skep.engines.kernel.syscall import ENOTSUPP, attempt, refusal, request
from skep.engines.kernel.test_runs import TEST_RUNS, TestRunRules
from skep.engines.kernel.types import KernelBtf
from skep.errors import KernelError, RequestError
from skep.isa.codec import encode
from skep.isa.instruction import Instructions
from skep.objects.kinds import AttachType, ProgramType

#: Load flags (``BPF_F_…``) that matter to people who test.
STRICT_ALIGNMENT = 1 << 0
TEST_STATE_FREQUENCY = 1 << 3
SLEEPABLE = 1 << 4
XDP_HAS_FRAGS = 1 << 5
TEST_REGISTER_INVARIANTS = 1 << 7

#: Test-run flags.
RUN_ON_CPU = 1 << 0
LIVE_FRAMES = 1 << 1
CHECKSUM_COMPLETE = 1 << 2

#: The log begins at this size and grows as the kernel says, up to what somebody may still look through (the kernel
#: takes a gigabyte, and 16 MiB before 5.2).
_LOG_BYTES = 1 << 16
_LARGEST_LOG = (1 << 24) - 1

#: A program may lengthen its packet; what comes back has at most this much more than what went in.
_GROWTH = 1 << 16


#: The attach type to load with where nobody says one, for types that the kernel does not take without.
ATTACH_TYPES: Mapping[ProgramType, AttachType] = MappingProxyType(
    {
        ProgramType.CGROUP_SOCK_ADDR: AttachType.CGROUP_INET4_CONNECT,
        ProgramType.CGROUP_SOCKOPT: AttachType.CGROUP_GETSOCKOPT,
        ProgramType.SK_LOOKUP: AttachType.SK_LOOKUP,
        ProgramType.NETFILTER: AttachType.NETFILTER,
    }
)


@dataclass(frozen=True, slots=True)
class DebugInformation:
    """What describes a program's functions and lines, in the records of BTF.ext, for the BTF it is loaded with."""

    btf: KernelBtf
    functions: bytes = b""
    lines: bytes = b""
    function_size: int = 8
    line_size: int = 16


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a test run left: the return value, 32 bits unsigned; packet and context as they are afterwards.

    ``duration_ns`` is the kernel's mean time of one run, ``data`` and ``context`` are None where the type has none.
    """

    retval: int
    data: bytes | None
    context: bytes | None
    duration_ns: int


class KernelProgram(Handle):
    """A program that the kernel's verifier has accepted. ``log`` is the verifier's, empty unless it was asked for."""

    noun = "program"

    def __init__(self, fd: int, type: ProgramType, name: str = "", log: str = "") -> None:
        super().__init__(fd)
        self.type = type
        self.name = name
        self.log = log

    @classmethod
    def load(
        cls,
        type: ProgramType,
        instructions: Instructions | bytes,
        *,
        name: str = "",
        license: str = "GPL",
        expected_attach_type: int | None = None,
        flags: int = 0,
        log_level: int = 0,
        kernel_version: int = 0,
        debug: DebugInformation | None = None,
        attach_btf_id: int = 0,
        attach_to: Handle | None = None,
        fd_array: Sequence[int] = (),
        fd_array_count: int = 0,
        interface: int = 0,
    ) -> Self:
        """Have the kernel verify and keep ``instructions``, whose references are resolved already.

        ``log_level`` 1, 2 or 4 (as in the kernel: 4 is statistics) keeps the log of an accepted program too.
        ``attach_to`` is the program that an extension or tracing program is about, or the module's BTF.
        With ``fd_array_count`` the kernel binds the maps of ``fd_array`` to the program (Linux 6.14).
        Raises KernelError with the verifier's log; its sentence holds the verifier's last word.
        """
        if type < 0:
            raise RequestError("the kernel has no program type 'raw'; give the type to run it as")
        code = instructions if isinstance(instructions, bytes) else encode(instructions)
        if len(code) % 8:
            raise RequestError(f"{len(code)} bytes are not a whole number of 8-byte instructions")
        code_place = create_string_buffer(code, max(len(code), 1))
        license_place = create_string_buffer(license.encode("utf-8"))
        attribute = ProgramLoad(
            prog_type=type,
            insn_cnt=len(code) // 8,
            insns=addressof(code_place),
            license=addressof(license_place),
            kern_version=kernel_version,
            # The kernel knows this type as sleepable only.
            prog_flags=flags | (SLEEPABLE if type == ProgramType.SYSCALL else 0),
            prog_name=object_name(name),
            prog_ifindex=interface,
            expected_attach_type=(
                ATTACH_TYPES.get(type, 0) if expected_attach_type is None else expected_attach_type
            ),
            attach_btf_id=attach_btf_id,
            attach_prog_fd=attach_to.fileno() if attach_to is not None else 0,
        )
        if debug is not None:
            function_place = create_string_buffer(debug.functions, max(len(debug.functions), 1))
            line_place = create_string_buffer(debug.lines, max(len(debug.lines), 1))
            attribute.prog_btf_fd = debug.btf.fileno()
            if debug.functions:
                attribute.func_info_rec_size = debug.function_size
                attribute.func_info = addressof(function_place)
                attribute.func_info_cnt = len(debug.functions) // debug.function_size
            if debug.lines:
                attribute.line_info_rec_size = debug.line_size
                attribute.line_info = addressof(line_place)
                attribute.line_info_cnt = len(debug.lines) // debug.line_size
        if fd_array:
            descriptors = array("i", fd_array)
            attribute.fd_array = descriptors.buffer_info()[0]
            attribute.fd_array_cnt = fd_array_count
        subject = f"program {name!r} ({type.label})" if name else f"a program of type {type.label}"
        if log_level == 0:
            # Writing the log takes most of the verifier's time: ask for one only when there is something to say.
            fd, number = attempt(Command.PROG_LOAD, attribute)
            if not number:
                return cls(fd, type, name)
        fd, number, log = _load_with_log(attribute, log_level or 1)
        if not number:
            return cls(fd, type, name, log)
        word = last_word(log)
        if not word:
            raise refusal(number, f"loading {subject}", type, log)
        raise KernelError(f"the kernel's verifier refused {subject}: {word}", errno=number, log=log)

    @classmethod
    def open_id(cls, identity: int) -> Self:
        """Open the loaded program with that id; raises KernelError if there is none."""
        return cls._from_fd(handle.open_by_id(Command.PROG_GET_FD_BY_ID, identity, cls.noun))

    @classmethod
    def open_pinned(cls, path: str) -> Self:
        """Open the program pinned at ``path``."""
        return cls._from_fd(handle.open_pinned(path, cls.noun))

    @classmethod
    def _from_fd(cls, fd: int) -> Self:
        try:
            info = program_information(fd)
            known = info.type in ProgramType._value2member_map_
            return cls(fd, ProgramType(info.type) if known else ProgramType.UNSPEC, info.name)
        except BaseException:
            os.close(fd)
            raise

    def run(
        self,
        data: bytes | None = None,
        context: bytes | None = None,
        *,
        repeat: int = 1,
        cpu: int | None = None,
        flags: int = 0,
        batch_size: int = 0,
    ) -> RunResult:
        """Run it ``repeat`` times on ``data`` (a packet) and ``context`` (as the program sees it) and say what came
        of it.

        Packet and context go from one run to the next. None gives what the kernel needs at least. ``cpu`` chooses
        where, for types that can; ``batch_size`` is of live frames alone. Raises RequestError for what the type has
        no place for, KernelError for what the kernel refuses.
        """
        rules = TEST_RUNS.get(self.type)
        if rules is None:
            raise KernelError(_no_test_run(self.type), errno=ENOTSUPP)
        data, context = self._check_input(rules, data, context, repeat, cpu)
        attribute = TestRun(prog_fd=self.fileno(), flags=flags, batch_size=batch_size)
        if rules.repeats:
            attribute.repeat = repeat
        if cpu is not None:
            attribute.cpu = cpu
            attribute.flags |= RUN_ON_CPU
        live = bool(flags & LIVE_FRAMES)
        data_in = create_string_buffer(data or b"", max(len(data or b""), 1))
        data_out = create_string_buffer(len(data_in) + _GROWTH if rules.returns_data and not live else 1)
        context_in = create_string_buffer(context or b"", max(len(context or b""), 1))
        context_out = create_string_buffer(max(len(context or b""), rules.context_size, 1))
        if data is not None:
            attribute.data_in, attribute.data_size_in = addressof(data_in), len(data)
            if len(data_out) > 1:
                attribute.data_out, attribute.data_size_out = addressof(data_out), len(data_out)
        if context is not None:
            attribute.ctx_in, attribute.ctx_size_in = addressof(context_in), len(context)
        if rules.returns_context and not rules.context_in_place and not live:
            attribute.ctx_out, attribute.ctx_size_out = addressof(context_out), len(context_out)
        _, number = attempt(Command.PROG_TEST_RUN, attribute)
        if number:
            raise self._run_refusal(number, rules, data)
        context_after: bytes | None = None
        if rules.context_in_place:
            context_after = context_in.raw if context is not None else None
        elif attribute.ctx_out:
            context_after = context_out.raw[: attribute.ctx_size_out]
        return RunResult(
            retval=attribute.retval,
            data=data_out.raw[: attribute.data_size_out] if len(data_out) > 1 else None,
            context=context_after,
            duration_ns=attribute.duration,
        )

    def information(self) -> ProgramInformation:
        """What the kernel tells of it: its translated and native code, its maps, its counters."""
        return program_information(self.fileno())

    def bind(self, map: KernelMap) -> None:
        """Keep ``map`` alive as long as this program, though no instruction names it."""
        attribute = ProgramBindMap(prog_fd=self.fileno(), map_fd=map.fileno())
        request(Command.PROG_BIND_MAP, attribute, f"binding map {map.spec.name!r} to program {self.name!r}")

    def pin(self, path: str) -> None:
        """Give it a name in a BPF file system; raises KernelError."""
        handle.pin(self, path)

    def _check_input(
        self, rules: TestRunRules, data: bytes | None, context: bytes | None, repeat: int, cpu: int | None
    ) -> tuple[bytes | None, bytes | None]:
        label = self.type.label
        if repeat < 1:
            raise RequestError(f"a program runs once at least, not {repeat} times")
        for given, place, what in (
            (data is not None, rules.takes_data, "packet"),
            (context is not None, rules.takes_context, "context"),
            (repeat != 1, rules.repeats, "repeat count"),
            (cpu is not None, rules.chooses_cpu, "choice of CPU"),
        ):
            if given and not place:
                raise RequestError(f"the kernel's test run of a {label} program takes no {what}")
        if rules.takes_data and data is None:
            data = bytes(rules.least_data)
        if rules.takes_data and len(data or b"") < rules.least_data:
            raise RequestError(
                f"the kernel's test run of a {label} program needs a packet of {rules.least_data} bytes or more, "
                f"not {len(data or b'')}"
            )
        if rules.default_context is not None and context is None:
            context = rules.default_context(len(data or b""))
        return data, context

    def _run_refusal(self, number: int, rules: TestRunRules, data: bytes | None) -> KernelError:
        if number in (ENOTSUPP, errno.EOPNOTSUPP):
            return KernelError(_no_test_run(self.type), errno=ENOTSUPP)
        what = f"test-running program {self.name!r} ({self.type.label})"
        if number == errno.EINVAL and rules.takes_data:
            what += f" on {len(data or b'')} bytes"
        return refusal(number, what, self.type)


def _no_test_run(type: ProgramType) -> str:
    return f"the kernel has no test run for programs of type {type.label}"


def _load_with_log(attribute: ProgramLoad, level: int) -> tuple[int, int, str]:
    """Load with a log that grows until the kernel can write all of it: descriptor, error number, log.

    Of a log beyond reason the end is kept, which says why a program was refused.
    """
    size = _LOG_BYTES
    while True:
        place = create_string_buffer(size)
        attribute.log_level, attribute.log_size, attribute.log_buf = level, size, addressof(place)
        attribute.log_true_size = 0
        fd, number = attempt(Command.PROG_LOAD, attribute)
        whole = attribute.log_true_size
        # An older kernel answers ENOSPC when the log is cut; a newer one keeps its end, and says how large it is.
        cut = number == errno.ENOSPC and (whole == 0 or whole > size)
        if not cut:
            return fd, number, place.value.decode("utf-8", "replace")
        if size >= _LARGEST_LOG:
            break
        size = min(max(whole, 4 * size), _LARGEST_LOG)
    # What the kernel thinks of the program itself, it says without a log.
    attribute.log_level = attribute.log_size = attribute.log_buf = 0
    fd, number = attempt(Command.PROG_LOAD, attribute)
    end = place.value.decode("utf-8", "replace").partition("\n")[2]
    missing = f"the first {whole - size} bytes" if whole > size else "a part"
    return fd, number, f"({missing} of this log, which is larger than {size} bytes, were left out)\n{end}"


#: Lines of a verifier's log that do not say why: instructions and states ("12: …"), source, statistics (since 7.3 of
#: each function, too).
_NO_REASON = re.compile(
    r"\d+: |from \d+ to \d+|;|processed \d+|verification time|stack depth|mark_precise:|func#|Live regs"
    r"|R\d+(_\w+)?=|frame\d+:|fp-\d+=|callee:|caller:|returning from callee|to caller at|cur state:|old state:"
    r"|\(.* of this log, which is larger|subprog \d+ \(.*\) \w+ insns_self "
)


def reason_lines(log: str) -> tuple[str, ...]:
    """The lines that a verifier's log ends with, behind the last instruction and state: why it refused."""
    reason: list[str] = []
    # One message ends without a new line.
    for line in reversed(log.replace("verification time", "\nverification time").splitlines()):
        text = line.strip()
        if not text:
            continue
        if _NO_REASON.match(text):
            if reason:
                break
        else:
            reason.insert(0, text)
    return tuple(reason)


def last_word(log: str) -> str:
    """The reason that a verifier's log ends with as one sentence; "" if it gives none."""
    return "; ".join(reason_lines(log)[-3:])
