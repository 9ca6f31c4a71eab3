"""Loading programs and running them: results, contexts, the verifier's log, and what is refused."""

from __future__ import annotations

import errno
import os
import re
import struct

import pytest

from skep.engines.kernel import KernelMap, KernelProgram, listing, loaded_ids
from skep.engines.kernel.attributes import Command, TestRun
from skep.engines.kernel.features import load_smallest
from skep.engines.kernel.programs import LIVE_FRAMES, XDP_HAS_FRAGS, last_word, reason_lines
from skep.engines.kernel.syscall import ENOTSUPP, attempt
from skep.engines.kernel.test_runs import TEST_RUNS
from skep.errors import KernelError, RequestError
from skep.isa import Instruction
from skep.objects import MapSpec, MapType, ProgramType
from tests.engines.kernel.conftest import RETURN_2

pytestmark = pytest.mark.usefixtures("nothing_left")

EXIT = Instruction(0x95)

#: r0 = data_end - data
LENGTH = (Instruction(0x61, 2, 1, 0), Instruction(0x61, 0, 1, 4), Instruction(0x1F, 0, 2), EXIT)

#: Writes 0xab over the first byte of the packet.
STAMP = (
    Instruction(0x61, 2, 1, 0),
    Instruction(0x61, 3, 1, 4),
    Instruction(0xBF, 4, 2),
    Instruction(0x07, 4, imm=1),
    Instruction(0x2D, 4, 3, 1),
    Instruction(0x72, 2, imm=0xAB),
    Instruction(0xB7, imm=3),
    EXIT,
)


def test_a_program_returns_its_value() -> None:
    with KernelProgram.load(ProgramType.XDP, RETURN_2, name="two") as program:
        assert program.run(bytes(64)).retval == 2


def test_bytes_load_like_instructions() -> None:
    with KernelProgram.load(ProgramType.XDP, bytes.fromhex("b700000005000000 9500000000000000")) as program:
        assert program.run().retval == 5


@pytest.mark.parametrize("length", [14, 64, 1500, 3520])
def test_an_xdp_program_sees_the_whole_packet(length: int) -> None:
    with KernelProgram.load(ProgramType.XDP, LENGTH) as program:
        assert program.run(bytes(length)).retval == length


def test_xdp_metadata_is_taken_from_the_context() -> None:
    context = struct.pack("=6I", 4, 64, 0, 0, 0, 0)
    with KernelProgram.load(ProgramType.XDP, LENGTH) as program:
        assert program.run(bytes(64), context).retval == 60


def test_a_large_packet_comes_back_whole_from_a_program_with_fragments() -> None:
    packet = bytes(range(256)) * 40
    with KernelProgram.load(ProgramType.XDP, STAMP, flags=XDP_HAS_FRAGS) as program:
        assert program.run(packet).data == b"\xab" + packet[1:]


def test_the_packet_comes_back_as_the_program_left_it() -> None:
    with KernelProgram.load(ProgramType.XDP, STAMP) as program:
        result = program.run(bytes(20), repeat=10)
    assert result.data == b"\xab" + bytes(19)
    assert result.retval == 3


def test_a_context_comes_back_as_the_program_left_it() -> None:
    mark = (Instruction(0x62, 1, offset=8, imm=77), Instruction(0xB7, imm=0), EXIT)
    with KernelProgram.load(ProgramType.SCHED_CLS, mark) as program:
        context = program.run(bytes(60)).context
    assert context is not None
    assert struct.unpack_from("=I", context, 8) == (77,)


def test_a_syscall_program_changes_its_context_in_place() -> None:
    store = (Instruction(0x7A, 1, offset=8, imm=9), Instruction(0xB7, imm=1), EXIT)
    with KernelProgram.load(ProgramType.SYSCALL, store) as program:
        result = program.run(context=bytes(16))
    assert result.context == bytes(8) + b"\x09" + bytes(7)
    assert result.retval == 1


def test_a_refused_program_says_the_verifiers_last_word() -> None:
    load_all = (Instruction(0x79, 0, 1, 0), EXIT)
    with pytest.raises(KernelError) as caught:
        KernelProgram.load(ProgramType.XDP, load_all, name="bad")
    assert str(caught.value) == (
        "the kernel's verifier refused program 'bad' (xdp): invalid bpf_context access off=0 size=8"
    )
    assert caught.value.errno == 13
    assert "processed 1 insns" in caught.value.log


def test_a_log_grows_until_all_of_it_fits() -> None:
    long = (Instruction(0xB7, imm=0), *(Instruction(0x07, imm=1) for _ in range(4000)), EXIT)
    with KernelProgram.load(ProgramType.XDP, long, log_level=2) as program:
        assert len(program.log) > 1 << 16
        assert program.log.rstrip().splitlines()[-1].startswith("processed 4002 insns")
    with pytest.raises(KernelError) as caught:
        KernelProgram.load(ProgramType.XDP, (*long[:-1], Instruction(0x79, 0, 1, 0), EXIT), log_level=2)
    assert "invalid bpf_context access" in str(caught.value)
    assert len(caught.value.log) > 1 << 16


def test_of_a_log_beyond_reason_the_end_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skep.engines.kernel.programs._LARGEST_LOG", 1 << 17)
    long = (Instruction(0xB7, imm=0), *(Instruction(0x07, imm=1) for _ in range(4000)), EXIT)
    with KernelProgram.load(ProgramType.XDP, long, log_level=2) as program:
        assert len(program.log) < (1 << 17) + 100
        assert re.match(r"\(the first \d+ bytes of this log, which is larger than 131072 bytes", program.log)
        assert program.log.rstrip().splitlines()[-1].startswith("processed 4002 insns")
    with pytest.raises(KernelError, match="invalid bpf_context access") as caught:
        KernelProgram.load(ProgramType.XDP, (*long[:-1], Instruction(0x79, 0, 1, 0), EXIT), log_level=2)
    assert caught.value.errno == errno.EACCES


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        ("0: (95) exit\nR0 !read_ok\nprocessed 1 insns (limit 1000000)\n", ("R0 !read_ok",)),
        ("callee:\nframe1: R1=ctx() R10=fp0\nR6=pkt_end() R7=1\nfp-8=mm\nthe reason\n", ("the reason",)),
        ("no new line behind itverification time 3 usec\n", ("no new line behind it",)),
        ("1: R1=ctx()\nfirst\nsecond\nprocessed 1 insns\n", ("first", "second")),
        ("", ()),
    ],
)
def test_the_reason_is_what_a_log_ends_with(log: str, reason: tuple[str, ...]) -> None:
    assert reason_lines(log) == reason


def test_the_log_of_an_accepted_program_is_kept_if_asked_for() -> None:
    with KernelProgram.load(ProgramType.XDP, RETURN_2, log_level=4) as program:
        assert program.log.startswith("verification time")
    with KernelProgram.load(ProgramType.XDP, RETURN_2) as program:
        assert program.log == ""


def test_information_has_both_codes() -> None:
    with KernelProgram.load(ProgramType.SOCKET_FILTER, RETURN_2, name="a-name") as program:
        info = program.information()
        with KernelProgram.open_id(info.id) as same:
            assert same.information().tag == info.tag
            assert same.type is ProgramType.SOCKET_FILTER
    assert info.name == "a_name"
    assert info.translated[:8] == bytes.fromhex("b700000002000000")
    assert info.verified_instructions == 2
    assert info.gpl_compatible
    assert sum(size for _, size in info.functions) in (0, len(info.native))


@pytest.mark.parametrize(
    ("type", "arguments", "problem"),
    [
        (ProgramType.XDP, {"data": bytes(13)}, "needs a packet of 14 bytes or more, not 13"),
        (ProgramType.XDP, {"repeat": 0}, "runs once at least, not 0 times"),
        (ProgramType.XDP, {"cpu": 0}, "takes no choice of CPU"),
        (ProgramType.SYSCALL, {"data": bytes(64)}, "takes no packet"),
    ],
)
def test_a_test_run_that_has_no_place_for_something_says_so(
    type: ProgramType, arguments: dict[str, object], problem: str
) -> None:
    with KernelProgram.load(type, RETURN_2) as program, pytest.raises(RequestError, match=problem):
        program.run(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("type", [type for type in ProgramType if type > 0], ids=lambda type: type.label)
def test_the_table_of_test_runs_is_the_kernels(type: ProgramType) -> None:
    try:
        program = load_smallest(type, (Instruction(0xB7, imm=1), EXIT))
    except KernelError as error:
        pytest.skip(str(error))
    with program:
        if type not in TEST_RUNS:
            _, number = attempt(Command.PROG_TEST_RUN, TestRun(prog_fd=program.fileno()))
            assert number in (ENOTSUPP, errno.EOPNOTSUPP)
            return
        rules = TEST_RUNS[type]
        try:
            result = program.run(repeat=3 if rules.repeats else 1)
        except KernelError as error:
            if error.errno != ENOTSUPP:
                raise
            pytest.skip(str(error))
        assert result.retval == 1 or type is ProgramType.SK_LOOKUP
        assert (result.data is not None) == rules.returns_data


def test_a_type_without_a_test_run_says_so() -> None:
    with KernelProgram.load(ProgramType.KPROBE, RETURN_2) as program, pytest.raises(KernelError, match="no test run"):
        program.run()


def test_a_closed_program_says_so() -> None:
    program = KernelProgram.load(ProgramType.XDP, RETURN_2)
    program.close()
    program.close()
    with pytest.raises(RequestError, match="has been closed"):
        program.run()


def test_raw_is_no_type_of_the_kernel() -> None:
    with pytest.raises(RequestError, match="no program type 'raw'"):
        KernelProgram.load(ProgramType.RAW, RETURN_2)


def test_the_last_word_passes_over_statistics_and_source() -> None:
    assert last_word("0: (95) exit\nR0 !read_ok\n; int x\nprocessed 1 insns (limit 1)\n\n") == "R0 !read_ok"
    two = "1: (71) r0 = *(u8 *)(r1 +0)\n1: R1=1\ninvalid access\nR1 is outside\nprocessed 2 insns (limit 1)\n"
    assert last_word(two) == "invalid access; R1 is outside"
    assert last_word("processed 1 insns") == ""


def test_live_frames_go_through_in_batches() -> None:
    # A program that drops every frame: nothing reaches the network.
    drop = (Instruction(0xB7, imm=1), EXIT)
    with KernelProgram.load(ProgramType.XDP, drop) as program:
        result = program.run(bytes(64), repeat=1000, flags=LIVE_FRAMES, batch_size=32)
        assert (result.retval, result.data, result.context) == (0, None, None)


def test_a_tracepoint_program_runs_on_the_chosen_cpu() -> None:
    # r0 = bpf_get_smp_processor_id()
    which = (Instruction(0x85, imm=8), EXIT)
    with KernelProgram.load(ProgramType.RAW_TRACEPOINT, which) as program:
        for cpu in sorted(os.sched_getaffinity(0)):
            assert program.run(cpu=cpu).retval == cpu
        with pytest.raises(KernelError):
            program.run(cpu=1 << 20)


def test_maps_are_found_through_the_array_of_descriptors() -> None:
    with KernelMap.create(MapSpec("value", MapType.ARRAY, 4, 8, 1)) as map:
        map.update(bytes(4), struct.pack("=Q", 33))
        # Pseudo source 6: an address in the value of the map at an index of the array.
        code = (
            Instruction(0x18, 1, 6, 0, 1),
            Instruction(0),
            Instruction(0x61, 0, 1, 0),
            EXIT,
        )
        with KernelProgram.load(ProgramType.XDP, code, fd_array=[0, map.fileno()]) as program:
            assert program.run().retval == 33
            assert program.information().map_ids == (map.information().id,)


def test_a_map_that_no_instruction_names_is_kept_alive_once_bound() -> None:
    with KernelProgram.load(ProgramType.XDP, RETURN_2) as program:
        with KernelMap.create(MapSpec("bound", MapType.ARRAY, 4, 8, 1)) as map:
            program.bind(map)
            identity = map.information().id
        assert program.information().map_ids == (identity,)
        KernelMap.open_id(identity).close()


def test_everything_loaded_can_be_listed() -> None:
    with (
        KernelProgram.load(ProgramType.XDP, RETURN_2, name="listed") as program,
        KernelMap.create(MapSpec("listed", MapType.ARRAY, 4, 8, 1)) as map,
    ):
        assert program.information() in list(listing.programs())
        assert map.information() in list(listing.maps())
    assert program.name not in [each.name for each in listing.programs()]
    kernel = [each.name for each in listing.types() if each.of_kernel]
    assert "vmlinux" in kernel or not kernel
    assert [each.id for each in listing.links()] == list(loaded_ids("link"))


def test_half_an_instruction_is_refused() -> None:
    with pytest.raises(RequestError, match="12 bytes are not a whole number of 8-byte instructions"):
        KernelProgram.load(ProgramType.XDP, bytes(12))
