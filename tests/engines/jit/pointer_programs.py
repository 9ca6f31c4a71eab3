"""Random programs that do to pointers what verified programs may: spill, join, index, pass, hide and compare them.

They are valid by construction. r9 is the address of the memory; r8 always is an address with 8 bytes behind it that
the program may use, in the memory or in the frame; r7 is null or such an address; r0 and r6 are numbers. No address
ever becomes a number that the result depends on. The oracle is the interpreter, which runs on real addresses too.
"""

from __future__ import annotations

from hypothesis import strategies as st

from skep.isa.assembler import assemble
from tests.strategies import RandomProgram

MEMORY_SIZE = 64

#: Places of 8 bytes in the frame that r8 may be made to point at.
_PLACES = (-8, -16, -24, -32)
#: Slots for spilled pointers, which are overwritten as they please.
_SPILLS = (-40, -48, -56)
#: An array that is indexed.
_ARRAY, _ARRAY_SIZE = -96, 32

_HEAD = "\n".join(
    [
        "r9 = r1",
        "r8 = r1",
        "r7 = 0",
        "r0 = 1",
        "r6 = r2",
        *(f"*(u64 *)(r10 {place}) = {place * 77}" for place in range(_ARRAY, 0, 8)),
    ]
)

#: What ends every program: nothing that depends on an address stays in the memory or in r0.
_TAIL = """
*(u64 *)(r9 + 56) = 0
r1 = *(u64 *)(r10 - 8)
r0 ^= r1
r1 = *(u64 *)(r10 - 24)
r0 += r1
r1 = *(u64 *)(r10 - 80)
r0 ^= r1
exit
"""

_FUNCTIONS = """
touch:
r3 = *(u64 *)(r1 + 0)
r3 ^= r2
*(u64 *)(r1 + 0) = r3
r0 = r3
r0 += 5
exit
follow:
r3 = *(u64 *)(r1 + 0)
*(u64 *)(r10 - 8) = r3
r4 = *(u64 *)(r10 - 8)
r0 = *(u32 *)(r4 + 4)
*(u32 *)(r4 + 0) = r2
exit
choose:
r0 = r1
if r3 & 4 goto chosen
r0 = r2
chosen:
exit
"""

_place = st.sampled_from(_PLACES)
_spill = st.sampled_from(_SPILLS)
_offset = st.sampled_from(range(0, 56, 8))
_bit = st.sampled_from((1, 2, 8, 64))
_operation = st.sampled_from(("+=", "-=", "*=", "^=", "|=", "&=", "<<=", ">>=", "s>>=", "/=", "%="))
_size = st.sampled_from(("u8", "u16", "u32", "u64"))
_register = st.sampled_from(("r0", "r6"))


def _compute(number: int, draw: st.DrawFn) -> str:
    register, operation = draw(_register), draw(_operation)
    if draw(st.booleans()):
        return f"{register} {operation} {draw(st.integers(-(2**31), 2**31 - 1))}"
    other = draw(_register)
    if draw(st.booleans()):
        return f"{register} {operation} {other}"
    return f"w{register[1:]} {operation} w{other[1:]}"


def _to_memory(number: int, draw: st.DrawFn) -> str:
    return f"r8 = r9\nr8 += {draw(_offset)}"


def _to_frame(number: int, draw: st.DrawFn) -> str:
    return f"r8 = r10\nr8 += {draw(_place)}"


def _either(number: int, draw: st.DrawFn) -> str:
    return f"""
    if r6 & {draw(_bit)} goto either{number}
    {draw(st.sampled_from((_to_memory, _to_frame)))(number, draw)}
    either{number}:"""


def _spilled(number: int, draw: st.DrawFn) -> str:
    return f"*(u64 *)(r10 {draw(_spill)}) = r8"


def _respilled(number: int, draw: st.DrawFn) -> str:
    spill = draw(_spill)
    return f"""
    *(u64 *)(r10 {spill}) = r8
    {_either(number, draw)}
    r1 = *(u64 *)(r10 {spill})
    r2 = *(u64 *)(r1 + 0)
    r0 += r2
    r8 = r1"""


def _conditional_spill(number: int, draw: st.DrawFn) -> str:
    spill, bit = draw(_spill), draw(_bit)
    return f"""
    *(u64 *)(r10 {spill}) = r6
    if r6 & {bit} goto spilled{number}
    *(u64 *)(r10 {spill}) = r8
    spilled{number}:
    {_compute(number, draw).replace("r6 ", "r0 ").replace("w6 ", "w0 ")}
    if r6 & {bit} goto loaded{number}
    r8 = *(u64 *)(r10 {spill})
    loaded{number}:"""


def _access(number: int, draw: st.DrawFn) -> str:
    size = draw(_size)
    if draw(st.booleans()):
        return f"r1 = *({size} *)(r8 + 0)\nr0 ^= r1"
    return f"*({size} *)(r8 + 0) = {draw(_register)}"


def _atomic(number: int, draw: st.DrawFn) -> str:
    name = draw(st.sampled_from(("lock *(u64 *)(r8 + 0) += r6", "r1 = r6\nr1 = xchg_64(r8 + 0, r1)\nr0 ^= r1")))
    return str(name)


def _indexed(number: int, draw: st.DrawFn) -> str:
    access = draw(st.sampled_from(("r2 = *(u64 *)(r1 + 0)\nr0 += r2", "*(u64 *)(r1 + 0) = r0", "r8 = r1")))
    return f"r1 = r6\nr1 &= {_ARRAY_SIZE - 8}\nr2 = r10\nr2 += {_ARRAY}\nr1 += r2\n{access}"


def _maybe_null(number: int, draw: st.DrawFn) -> str:
    return f"""
    r7 = 0
    if r6 & {draw(_bit)} goto null{number}
    r7 = r8
    null{number}:
    {_compute(number, draw)}
    if r7 == 0 goto skip{number}
    r1 = *(u64 *)(r7 + 0)
    r0 ^= r1
    skip{number}:"""


def _swapped(number: int, draw: st.DrawFn) -> str:
    return f"""
    r5 = 3
    r7 = {draw(st.sampled_from(("r9", "r10")))}
    r7 += {"0" if draw(st.booleans()) else "-24"}
    if r7 > r9 goto ahead{number}
    r7 = r9
    ahead{number}:
    r7 = r9
    r7 += 16
    again{number}:
    r1 = *(u32 *)(r8 + 0)
    w0 ^= w1
    r1 = r7
    r7 = r8
    r8 = r1
    r5 += -1
    if r5 != 0 goto again{number}"""


def _call_touch(number: int, draw: st.DrawFn) -> str:
    where = draw(st.sampled_from(("r1 = r8", "r1 = r10\nr1 += -16", "r1 = r9\nr1 += 8")))
    return f"{where}\nr2 = r6\ncall touch"


def _call_follow(number: int, draw: st.DrawFn) -> str:
    spill = draw(_spill)
    return f"*(u64 *)(r10 {spill}) = r8\nr1 = r10\nr1 += {spill}\nr2 = r6\ncall follow"


def _call_choose(number: int, draw: st.DrawFn) -> str:
    return "*(u64 *)(r10 - 64) = r0\nr1 = r8\nr2 = r9\nr3 = r6\ncall choose\nr8 = r0\nr0 = *(u64 *)(r10 - 64)"


def _hidden(number: int, draw: st.DrawFn) -> str:
    return f"*(u64 *)(r9 + 56) = r8\n{_either(number, draw)}\nr8 = *(u64 *)(r9 + 56)\n*(u64 *)(r9 + 56) = 0"


def _distance(number: int, draw: st.DrawFn) -> str:
    return f"r1 = r9\nr1 += {draw(_offset)}\nr1 -= r9\nr0 += r1"


_SNIPPETS = (
    _compute,
    _compute,
    _to_memory,
    _to_frame,
    _either,
    _spilled,
    _respilled,
    _conditional_spill,
    _access,
    _access,
    _atomic,
    _indexed,
    _maybe_null,
    _swapped,
    _call_touch,
    _call_follow,
    _call_choose,
    _hidden,
    _distance,
)


@st.composite
def pointer_programs(draw: st.DrawFn) -> RandomProgram:
    """A program of up to a dozen steps, some of them in a loop of three rounds."""
    steps = [draw(st.sampled_from(_SNIPPETS))(number, draw) for number in range(draw(st.integers(1, 12)))]
    if draw(st.booleans()):
        start = draw(st.integers(0, len(steps)))
        counter = _ARRAY - 8
        steps[start:] = [
            f"*(u64 *)(r10 {counter}) = 3",
            "loop:",
            *steps[start:],
            f"r1 = *(u64 *)(r10 {counter})\nr1 += -1\n*(u64 *)(r10 {counter}) = r1\nif r1 != 0 goto loop",
        ]
    text = "\n".join([_HEAD, *steps, _TAIL, _FUNCTIONS])
    lines = "\n".join(line.strip() for line in text.splitlines() if line.strip())
    return RandomProgram(assemble(lines).instructions, draw(st.binary(min_size=64, max_size=64)))
