"""What the translation keeps for LLVM: pointers, 32-bit values, rotations, switches, small pieces of stack."""

from __future__ import annotations

import re

import pytest

from skep.engines import Binding
from skep.engines.jit import Jit, graph
from skep.engines.jit.frame import Frame
from skep.engines.jit.switches import recover_switches
from skep.isa.assembler import assemble
from skep.memory import AddressSpace
from tests.engines.jit.compiled import compiled, raw


def ir(text: str, *, optimised: bool = False) -> str:
    with AddressSpace() as space:
        return Jit(cache=None).ir(raw(text), Binding(space), optimised=optimised)


def test_pointers_stay_pointers_through_spills_joins_and_loops() -> None:
    text = ir(
        """
        r6 = r1
        *(u64 *)(r10 - 8) = r1
        r0 = 0
        if r2 > 9 goto further
        r6 += 8
        further:
        r1 = *(u64 *)(r10 - 8)
        r3 = *(u8 *)(r6 + 0)
        r4 = *(u8 *)(r1 + 1)
        r0 += r3
        r0 += r4
        r6 += 1
        r5 = r6
        r5 -= r1
        if r5 < 20 goto further
        exit
        """
    )
    assert "inttoptr" not in text
    assert re.search(r"phi ptr", text)


def test_narrow_values_go_round_loops_in_32_bits() -> None:
    text = ir("r0 = 0\nw3 = 0\nagain:\nw0 += w3\nw3 += 1\nif w3 < 9 goto again\nexit")
    assert len(re.findall(r"phi i32", text)) == 2
    assert "phi i64" not in text


@pytest.mark.parametrize("joined", ["|=", "+=", "^="])
def test_two_shifts_are_a_rotation(joined: str) -> None:
    text = ir(f"r0 = r2\nr0 <<= 13\nr2 >>= 51\nr0 {joined} r2\nexit")
    assert "llvm.fshl.i64" in text
    assert "llvm.fshl" not in ir(f"r0 = r2\nr0 <<= 13\nr2 >>= 50\nr0 {joined} r2\nexit")


def test_a_rotation_gives_what_its_shifts_give() -> None:
    with compiled(
        ["r0 = r2\nr0 <<= 60\nr2 >>= 4\nr0 |= r2\nexit", "w0 = w2\nw0 <<= 5\nw2 >>= 27\nw0 |= w2\nexit"]
    ) as batch:
        assert batch.run(0) == 64 >> 4
        assert batch.run(1) == 64 << 5


TREE = """
r0 = 1
if r2 s> 4 goto upper
r0 = 2
if r2 == 0 goto end
r0 = 3
if r2 == 3 goto end
goto other
upper:
r0 = 4
if r2 == 5 goto end
r0 = 5
if r2 == 9 goto end
other:
r0 = 99
end:
exit
"""


def test_a_tree_of_comparisons_is_a_switch() -> None:
    text = ir(TREE)
    assert "switch i64" in text
    assert "icmp" not in text
    expected = {0: 2, 3: 3, 5: 4, 9: 5}
    with compiled([TREE], level=2) as batch:
        for value in [*range(-3, 12), 1 << 63, (1 << 63) - 1]:
            value &= (1 << 64) - 1
            got = batch.programs[0].run(0, value, 0)
            assert got == expected.get(value, 99), value


CLASSES = """
r2 = *(u8 *)(r1 + 0)
if w2 s> 47 goto upper
goto lower
upper:
if w2 s< 58 goto digit
if w2 == 58 goto colon
goto other
lower:
r6 = 1
if w2 == 9 goto end
if w2 == 32 goto end
goto other
digit:
r6 = 2
goto end
colon:
r6 = 3
goto end
other:
r6 = 0
end:
r0 = r6
exit
"""


def test_classes_of_bytes_are_a_table() -> None:
    text = ir(CLASSES, optimised=True)
    assert "switch.table" in text
    assert "br " not in text
    expected = {9: 1, 32: 1, 58: 3, **dict.fromkeys(range(48, 58), 2)}
    with compiled([CLASSES], level=3) as batch:
        for value in range(256):
            batch.memory.write(0, bytes([value]))
            assert batch.run() == expected.get(value, 0), value


def test_too_few_comparisons_stay_comparisons() -> None:
    instructions = assemble("r0 = 0\nif r2 == 1 goto end\nif r2 == 2 goto end\nr0 = 1\nend:\nexit").instructions
    function = graph.build(instructions, 0)
    graph.finish(function, instructions)
    assert not recover_switches(function, instructions)


def test_a_frame_is_as_many_pieces_as_it_has_variables() -> None:
    frame = Frame(flat=False, size=512)
    frame.name(-8, 8, written=True)
    frame.name(-16, 8, written=True)
    frame.name(-24, 4, written=True)
    frame.name(-24, 8, written=True)
    assert sum("alloca" in line for line in frame.declarations()) == 3
    flat = Frame(flat=True, size=512)
    flat.name(-8, 8, written=True)
    flat.name(-64, 8, written=True)
    assert sum("alloca" in line for line in flat.declarations()) == 1


def test_only_what_may_be_read_unwritten_is_cleared() -> None:
    assert "memset" not in ir("*(u64 *)(r10 - 8) = 1\nr0 = *(u64 *)(r10 - 8)\nexit")
    unwritten = "if r2 == 0 goto read\n*(u64 *)(r10 - 8) = 1\nread:\nr0 = *(u64 *)(r10 - 8)\nexit"
    assert "memset" in ir(unwritten)
    with compiled([unwritten], level=2) as batch:
        assert batch.programs[0].run(0, 0, 0) == 0
        assert batch.programs[0].run(0, 1, 0) == 1


def test_division_is_done_in_32_bits_where_it_can_be() -> None:
    text = ir("r0 = *(u32 *)(r1 + 0)\nr2 = *(u32 *)(r1 + 4)\nr0 /= r2\nexit")
    assert "udiv i32" in text
    assert "udiv i64" in ir("r0 = *(u64 *)(r1 + 0)\nr2 = *(u32 *)(r1 + 8)\nr0 /= r2\nexit")


def test_a_known_number_is_forgotten_when_it_is_computed_with() -> None:
    # The size that the helper is given is not the 7 that r2 once was.
    with compiled(["r2 = 7\nr3 = *(u64 *)(r1 + 0)\nr2 &= r3\nr0 = r2\nexit"], (5).to_bytes(64, "little")) as batch:
        assert batch.run() == 5


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_every_level_gives_the_same(level: int) -> None:
    text = "r0 = 0\nagain:\nr0 += r2\nr2 += -1\nif r2 != 0 goto again\ncall triple\nexit\ntriple:\nr0 = 6\nexit"
    with compiled([text, "r0 = r2\nexit"], level=level) as batch:
        assert (batch.run(0), batch.run(1)) == (6, 64)


def test_a_chain_of_a_thousand_comparisons_is_a_switch() -> None:
    chain = "\n".join(f"if r2 == {number} goto hit" for number in range(3000, 4000))
    text = f"r0 = 0\n{chain}\nexit\nhit:\nr0 = 1\nexit"
    assert "switch" in ir(text)
    with compiled([text]) as batch:
        assert [batch.programs[0].run(0, value, 0) for value in (2999, 3000, 3999, 4000)] == [0, 1, 1, 0]


def test_a_loop_of_comparisons_is_no_tree() -> None:
    tests = "\n".join(f"if r2 == {number} goto out" for number in range(1, 4))
    text = f"again:\n{tests}\nif r2 == 4 goto again\nout:\nr0 = r2\nexit"
    with compiled([text]) as batch:
        assert batch.programs[0].run(0, 3, 0) == 3


def test_a_function_whose_address_is_only_taken_is_there() -> None:
    with compiled(["r1 = subprog[unused] ll\nr0 = 3\nexit\nunused:\nr0 = *(u64 *)(r2 + 0)\nexit"]) as batch:
        assert batch.run() == 3


def test_addresses_outside_the_frame_may_be_computed() -> None:
    text = "r1 = r10\nr1 += 47\nr2 = r10\nr2 += -4000\nr1 -= r2\nr0 = r1\nexit"
    with compiled([text]) as batch:
        assert batch.run() == 4047
