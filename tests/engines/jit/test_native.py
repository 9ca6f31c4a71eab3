"""What LLVM makes of IR for all x86-64 processors: loops unrolled, vectors where they pay, aligned blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from skep.engines.jit import native

pytestmark = pytest.mark.skipif(not native.host()[0].startswith("x86_64"), reason="speaks of x86-64 processors")

#: Two numbers from memory go round with a rotation and two multiplications each, in four lanes.
LANES = "\n".join(
    f"""
%at{lane} = getelementptr i8, ptr %input, i64 {8 * lane}
%loaded{lane} = load i64, ptr %at{lane}, align 1
%mixed{lane} = mul i64 %loaded{lane}, -4417276706812531889
%sum{lane} = add i64 %mixed{lane}, %state{lane}
%turned{lane} = call i64 @llvm.fshl.i64(i64 %sum{lane}, i64 %sum{lane}, i64 31)
%next{lane} = mul i64 %turned{lane}, -7046029288634856825"""
    for lane in range(4)
)
STATES = "\n".join(f"%state{lane} = phi i64 [ {lane}, %entry ], [ %next{lane}, %round ]" for lane in range(4))
HASH = f"""
define i64 @hash(ptr %memory, i64 %size) {{
entry:
br label %round
round:
%input = phi ptr [ %memory, %entry ], [ %following, %round ]
%left = phi i64 [ %size, %entry ], [ %less, %round ]
{STATES}
{LANES}
%following = getelementptr i8, ptr %input, i64 32
%less = sub i64 %left, 1
%done = icmp eq i64 %less, 0
br i1 %done, label %end, label %round
end:
%first = add i64 %next0, %next1
%second = add i64 %next2, %next3
%both = add i64 %first, %second
ret i64 %both
}}
"""

#: A sum of 64 numbers of 16 bits.
SUM = """
define i32 @sum(ptr %memory) {
entry:
br label %more
more:
%index = phi i64 [ 0, %entry ], [ %next, %more ]
%total = phi i32 [ 0, %entry ], [ %larger, %more ]
%at = getelementptr i8, ptr %memory, i64 %index
%loaded = load i16, ptr %at, align 1
%wide = zext i16 %loaded to i32
%larger = add i32 %total, %wide
%next = add i64 %index, 2
%again = icmp ult i64 %index, 126
br i1 %again, label %more, label %end
end:
ret i32 %larger
}
"""

#: How often each byte comes: no round can be told from the next one before it is known which counters they change.
HISTOGRAM = """
define void @count(ptr %memory, i64 %size, ptr %counts) {
entry:
br label %more
more:
%index = phi i64 [ 0, %entry ], [ %next, %more ]
%at = getelementptr i8, ptr %memory, i64 %index
%byte = load i8, ptr %at, align 1
%wide = zext i8 %byte to i64
%counter = getelementptr i32, ptr %counts, i64 %wide
%old = load i32, ptr %counter, align 4
%new = add i32 %old, 1
store i32 %new, ptr %counter, align 4
%next = add i64 %index, 1
%again = icmp ult i64 %next, %size
br i1 %again, label %more, label %end
end:
ret void
}
"""

#: Two ways through a loop that meet again.
WAYS = """
declare i64 @left(i64)
declare i64 @right(i64)
define i64 @ways(i64 %count) {
entry:
br label %more
more:
%number = phi i64 [ %count, %entry ], [ %result, %meet ]
%low = and i64 %number, 1
%odd = icmp eq i64 %low, 1
br i1 %odd, label %one, label %other
one:
%a = call i64 @left(i64 %number)
br label %meet
other:
%b = call i64 @right(i64 %number)
br label %meet
meet:
%result = phi i64 [ %a, %one ], [ %b, %other ]
%done = icmp eq i64 %result, 0
br i1 %done, label %end, label %more
end:
ret i64 %count
}
"""


@pytest.fixture
def optimised_for(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], str]]:
    """The IR after the passes, as on a machine with a certain processor."""

    def optimised(text: str, cpu: str) -> str:
        triple = native.host()[0]
        with monkeypatch.context() as patch:
            patch.setattr(native, "host", lambda: (triple, cpu, ""))
            native.target_machine.cache_clear()
            return str(native.optimised(text, 3))

    yield optimised
    native.target_machine.cache_clear()


PROCESSORS = ["znver2", "znver3", "znver5", "haswell", "skylake-avx512", "sapphirerapids", "x86-64"]


@pytest.mark.parametrize("cpu", PROCESSORS)
def test_lanes_that_wait_for_a_multiplication_are_no_vector(
    optimised_for: Callable[[str, str], str], cpu: str
) -> None:
    assert "x i64>" not in optimised_for(HASH, cpu)


@pytest.mark.parametrize("cpu", PROCESSORS)
def test_a_sum_of_many_numbers_becomes_vectors(optimised_for: Callable[[str, str], str], cpu: str) -> None:
    assert "x i32>" in optimised_for(SUM, cpu)


@pytest.mark.parametrize("cpu", PROCESSORS)
def test_a_loop_that_ends_anywhere_is_unrolled(optimised_for: Callable[[str, str], str], cpu: str) -> None:
    # Two rounds at least in the loop, and the one that may be left over.
    assert optimised_for(HISTOGRAM, cpu).count("load i8") >= 3


def test_what_nothing_falls_into_starts_a_line() -> None:
    lines = [line.split("#")[0].strip() for line in native.assembly(WAYS, 3).splitlines()]
    behind = [index + 1 for index, line in enumerate(lines) if line.startswith("jmp")]
    assert behind
    assert all(lines[index].replace("\t", " ").startswith(".p2align 6") for index in behind)
