"""Text to instructions and back, in both dialects."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skep.errors import AssemblyError
from skep.isa import (
    TABLE,
    Dialect,
    Instruction,
    Row,
    Symbol,
    assemble,
    decode,
    disassemble,
    encode,
    instruction_text,
    listing,
    log_text,
    row_of,
)
from skep.isa.templates import grammar

from .strategies import instances, programs, slots

dialects: st.SearchStrategy[Dialect] = st.sampled_from(("kernel", "mnemonic"))
byte_orders = st.sampled_from(("little", "big"))


def bytes_of(text: str, dialect: Dialect | None = None) -> str:
    return encode(assemble(text, dialect=dialect).instructions).hex()


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
@settings(max_examples=20)
@given(data=st.data())
def test_each_instruction_survives_both_dialects_and_byte_orders(row: Row, data: st.DataObject) -> None:
    program = data.draw(instances(row))
    for dialect in ("kernel", "mnemonic"):
        text = instruction_text(program[0], program[1] if len(program) > 1 else None, dialect=dialect)
        assert not text.startswith(".slot")
        for reader in (dialect, None):
            assert assemble(text, dialect=reader).instructions == program, text
    for byte_order in ("little", "big"):
        assert decode(encode(program, byte_order), byte_order, strict=True) == program


@given(programs, dialects, byte_orders)
def test_programs_with_labels_survive(program: tuple[Instruction, ...], dialect: Dialect, byte_order: str) -> None:
    decoded = decode(encode(program, byte_order), byte_order)
    text = listing(disassemble(decoded, dialect=dialect))
    assert assemble(text, dialect=dialect).instructions == program
    assert assemble(text).instructions == program


@given(st.lists(slots, max_size=10), dialects)
def test_any_slots_survive_disassembly(program: list[Instruction], dialect: Dialect) -> None:
    text = listing(disassemble(tuple(program), dialect=dialect))
    assert assemble(text).instructions == tuple(program)


names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)


@given(programs, st.dictionaries(st.integers(0, 12), names), dialects)
def test_whatever_functions_are_called_the_text_reads_back(
    program: tuple[Instruction, ...], functions: dict[int, str], dialect: Dialect
) -> None:
    lines = disassemble(program, dialect=dialect, functions=functions, helpers=lambda number: f"helper_{number}")
    numbers = {f"helper_{number}": number for number in (slot.imm & 0xFFFFFFFF for slot in program)}
    assert assemble(listing(lines), helpers=numbers.get).instructions == program


@given(names, st.integers(0, 0xFFFFFFFF), dialects)
def test_names_of_symbols_never_break_the_text(name: str, offset: int, dialect: Dialect) -> None:
    text = "r1 = map[a]\nr1 = map[a][0]\nr1 = ksym[a]\ncall kfunc[a]\nr1 = a ll"
    program = assemble(text)
    renamed = {slot: Symbol(symbol.kind, name, symbol.offset) for slot, symbol in program.symbols.items()}
    assert len(disassemble(program.instructions, symbols=renamed, dialect=dialect)) == 5
    assert "\n" not in disassemble(program.instructions, symbols=renamed, dialect=dialect)[0].text


def refusal(text: str) -> AssemblyError | None:
    """The error that a text ends in, or None where it assembles to instructions that can be encoded."""
    try:
        encode(assemble(text).instructions)
    except AssemblyError as error:
        return error
    return None


@given(st.text(max_size=80))
def test_any_text_gives_instructions_or_an_assembly_error(text: str) -> None:
    error = refusal(text)
    if error is not None:
        lines = text.split("\n")
        assert 1 <= error.line <= len(lines)
        assert 1 <= error.column <= len(lines[error.line - 1]) + 1
        assert error.problem


ODD_WORDS = (
    *("r0", "%r1", "w2", "r11", "7", "-", "0x7", "map[a]", "map[fd:3]", "map[idx:0]", "ksym[id:1, fd:2]", "kfunc[]"),
    *("subprog[+1]", "foo", "foo:", "99999999999", ".slot"),
)
words = st.sampled_from(sorted({key for shape in grammar().shapes for key in shape}.union(ODD_WORDS)))


@given(st.lists(words, max_size=9).map(" ".join))
def test_any_words_of_the_language_give_instructions_or_an_assembly_error(text: str) -> None:
    error = refusal(text)
    assert error is None or error.problem


@pytest.mark.parametrize(
    ("kernel", "mnemonic", "raw"),
    [
        ("r0 = *(u32 *)(r1 + 4)", "ldxw %r0, [%r1+4]", "6110040000000000"),
        ("w0 = *(u8 *)(r1 +0)", "ldxb %r0, [%r1]", "7110000000000000"),
        ("r0 = *(s16 *)(r1 - 4)", "ldxsh %r0, [%r1-4]", "8910fcff00000000"),
        ("*(u64 *)(r10 - 8) = -5", "stdw [%r10-8], -5", "7a0af8fffbffffff"),
        ("*(u16 *)(r10 - 8) = w5", "stxh [%r10-0x8], %r5", "6b5af8ff00000000"),
        ("w1 s/= w2", "sdiv32 %r1, %r2", "3c21010000000000"),
        ("r1 s%= 5", "smod %r1, 5", "9701010005000000"),
        ("r1 = (s32)r2", "movsx3264 %r1, %r2", "bf21200000000000"),
        ("r1 = be16 r1", "be16 %r1", "dc01000010000000"),
        ("r1 = bswap32 r1", "swap32 %r1", "d701000020000000"),
        ("r1 = 0x1122334455667788 ll", "lddw %r1, 0x1122334455667788", "18010000887766550000000044332211"),
        ("lock *(u32 *)(r1 + 0) |= w2", "lock or32 [%r1], %r2", "c321000040000000"),
        ("w2 = atomic_fetch_add((u32 *)(r1 + 8), w2)", "lock fetch add32 [%r1+8], %r2", "c321080001000000"),
        ("r2 = xchg_64(r1 + 8, r2)", "lock xchg [%r1+8], %r2", "db210800e1000000"),
        ("r0 = atomic64_cmpxchg((u64 *)(r1 +8), r0, r2)", "lock cmpxchg [%r1+8], %r2", "db210800f1000000"),
        ("w0 = load_acquire((u8 *)(r1 + 8))", "ldacqb %r0, [%r1+8]", "d310080000010000"),
        ("store_release((u64 *)(r1 + 8), r2)", "streldw [%r1+8], %r2", "db21080010010000"),
        ("r0 = *(u32 *)skb[r4]", "ldindw %r4, 0", "4040000000000000"),
        ("r0 = *(u8 *)skb[4]", "ldabsb 4", "3000000004000000"),
        ("if w1 s< -1 goto pc+5", "jslt32 %r1, 0xffffffff, +5", "c6010500ffffffff"),
        ("if r1 & r2 goto -3", "jset %r1, %r2, -3", "4d21fdff00000000"),
        ("gotol +70000", "ja32 +70000", "0600000070110100"),
        ("may_goto +2", "may_goto +2", "e500020000000000"),
        ("r1 = addr_space_cast(r2, 1, 0)", "addr_space_cast %r1, %r2, 1, 0", "bf21010000000100"),
        ("callx r3", "call %r3", "8d03000000000000"),
        ("call 5", "call helper 5", "8500000005000000"),
        ("call pc-1", "call local -1", "85100000ffffffff"),
        ("call kfunc[id:7, fd:1]", "call kfunc[id:7, fd:1]", "8520010007000000"),
        ("call kfunc[id:7]", "call runtime 7", "8520000007000000"),
        ("r1 = map[fd:3]", "lddw %r1, map[fd:3]", "18110000030000000000000000000000"),
        ("r1 = map[idx:3][0]+8 ll", "lddw %r1, map[idx:3][0]+8", "18610000030000000000000008000000"),
        ("r1 = ksym[id:3, fd:2]", "lddw %r1, ksym[id:3, fd:2]", "18310000030000000000000002000000"),
        ("r1 = subprog[-3]", "lddw %r1, subprog[-3]", "18410000fdffffff0000000000000000"),
        ("9: (85) call bpf_map_lookup_elem#1", "call 1", "8500000001000000"),
        ("9: (85) call pc+2#bpf_prog_f00_sub", "call local +2", "8510000002000000"),
        ("9: (18) r1 = 0x5", "lddw %r1, 5", "18010000050000000000000000000000"),
        (".slot 0x95", ".slot 149", "9500000000000000"),
    ],
)
def test_both_dialects_say_the_same(kernel: str, mnemonic: str, raw: str) -> None:
    assert bytes_of(kernel) == bytes_of(mnemonic) == raw
    assert bytes_of(kernel, "kernel") == bytes_of(mnemonic, "mnemonic") == raw


def test_labels_comments_and_both_dialects_in_one_text() -> None:
    program = assemble(
        """
        # a comment
        start: r0 = 1        // another
        mov %r1, 2           ; and one more
        if r0 == r1 goto done /* inside */
        ja start
        done:
        other: exit
        """
    )
    assert dict(program.labels) == {"start": 0, "done": 4, "other": 4}
    assert program.instructions[2].offset == 1
    assert program.instructions[3].offset == -4
    assert [program.lines[slot] for slot in range(5)] == [3, 4, 5, 6, 8]


def test_a_jump_to_exit_without_such_a_label_goes_to_the_first_exit() -> None:
    jump, *_ = assemble("jeq %r0, 0, exit\nexit\nexit").instructions
    assert jump.offset == 0
    jump, *_ = assemble("jeq %r0, 0, exit\nexit\nexit:\nexit").instructions
    assert jump.offset == 1


def test_calls_of_names_are_subprograms_or_helpers() -> None:
    program = assemble("call callee\ncall known\nexit\ncallee: exit", helpers={"known": 7, "callee": 9}.get)
    call, helper = program.instructions[:2]
    assert (call.src, call.imm) == (1, 2)
    assert (helper.src, helper.imm) == (0, 7)


def test_symbols_are_kept_and_written_back() -> None:
    text = (
        "r1 = map[counts] ll\nr2 = map[.bss][0]+8 ll\nr3 = ksym[jiffies] ll\n"
        "r4 = subprog[callback] ll\nr5 = extern+16 ll\ncall kfunc[bpf_rcu_read_lock]\nexit\ncallback:\nexit"
    )
    program = assemble(text)
    assert dict(program.symbols) == {
        0: Symbol("map", "counts"),
        2: Symbol("map value", ".bss", 8),
        4: Symbol("kernel symbol", "jiffies"),
        8: Symbol("address", "extern", 16),
        10: Symbol("kfunc", "bpf_rcu_read_lock"),
    }
    assert program.instructions[3].imm == 8
    for dialect in ("kernel", "mnemonic"):
        lines = disassemble(
            program.instructions, symbols=program.symbols, functions={12: "callback"}, dialect=dialect
        )
        again = assemble(listing(lines), dialect=dialect)
        assert again.instructions == program.instructions
        assert dict(again.symbols) == dict(program.symbols)
        assert dict(again.labels) == {"callback": 12}


def test_what_compilers_write_around_the_code_is_skipped() -> None:
    text = "\t.text\n\t.type\tf,@function\nf:  # @f\n# %bb.0:\n\tr0 = 0\n\texit\n.Lend0:\n\t.size\tf, .Lend0-f\n"
    assert bytes_of(text) == "b7000000000000009500000000000000"


def test_remarks_and_slots_in_a_listing() -> None:
    program = decode(bytes.fromhex("b7000000000000009500000000000000ff00000000000000"))
    lines = disassemble(program, functions={0: "main"}, remark=lambda slot, _: "return" if slot == 1 else None)
    assert listing(lines) == (
        "main:\n    r0 = 0\n"
        "    exit                      # return\n"
        "    .slot 0x00000000000000ff  # no instruction has opcode 0xff\n"
    )
    assert [line.slot for line in lines] == [0, 1, 2]


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("r1 += w2", 7, "expected a number or a register"),
        ("r11 = 5", 1, "there is no register r11; the last is r10"),
        ("mov %w11, 5", 5, "there is no register %w11"),
        ("mov r1", 7, "expected ',', not the end of the line"),
        ("movv r1, r2", 1, "no instruction is called movv; did you mean mov"),
        ("r1 = 0x1ffffffff", 6, "does not fit in 32 bits; write lddw"),
        ("r1 += 0x1ffffffff", 7, "does not fit in 32 bits; load it into a register with lddw"),
        ("r1 = 0x1ffffffffffffffff ll", 6, "does not fit in 64 bits"),
        ("if r1 == 5 gato x", 12, "expected 'goto', not 'gato'"),
        ("loop: goto lopp", 12, "label lopp is not defined; did you mean loop"),
        ("r1 = *(u33 *)(r1 + 5)", 8, "expected 's16', 's32', 's8', 'u16', 'u32', 'u64' or 'u8'"),
        ("call foo", 6, r"foo is not a label; call a kernel function as kfunc\[foo\]"),
        ("lock nand [r1], r2", 6, "'nand' cannot stand here; write lock"),
        ("*(u64 *)(r1 + 99999) = 1", 13, "offset 99999 is outside -32768 to 32767"),
        ("r2 = xchg_64(r1 + 8, r3)", 22, "written twice must be the same"),
        ("w1 = cmpxchg32_32(r1 + 8, w0, w3)", 1, "always uses r0 here"),
        ("r1 = map[id:5]", 6, "is not understood"),
        ("r1 = map[]", 6, "names nothing"),
        ("r1 = map[m][1]", 13, "only element 0"),
        ("a: a: exit", 4, "label a is defined twice"),
        ("5: call: goto cal", 15, "label cal is not defined; did you mean call"),
        ("5: (18) r1 += 5", 9, "the listing says opcode 0x18, but this text is 0x07"),
        ("5: (b7) r1 += 5", 9, "the listing says opcode 0xb7, but this text is 0x07"),
        (".section maps", 1, "directive .section is not known"),
        (".slot x", 7, "one number"),
        ("exit exit", 6, "expected the end of the line"),
        ("r1 = 12ab", 6, "'12ab' is no number"),
        ("r1 ! 5", 4, "'!' is no part of an instruction"),
        ("r1 5", 4, "expected an operator"),
        ("r1 = addr_space_cast(r2, 65536, 0)", 26, "address space 65536 is outside 0 to 65535"),
    ],
)
def test_errors_point_at_what_is_wrong(text: str, column: int, message: str) -> None:
    with pytest.raises(AssemblyError, match=message) as caught:
        assemble(f"r0 = 0\n{text}", file="x.s")
    error = caught.value
    assert (error.file, error.line, error.column) == ("x.s", 2, column)
    sentence, line, caret = str(error).split("\n")
    assert sentence.startswith("x.s: line 2, column ")
    assert (line, caret.index("^")) == (text, column - 1)


def test_a_short_jump_that_is_too_far_says_which_jump_reaches() -> None:
    filler = "r0 = 0\n" * 40000
    with pytest.raises(AssemblyError, match="jump with gotol"):
        assemble(f"goto end\n{filler}end: exit")
    assert assemble(f"gotol end\n{filler}end: exit").instructions[0].imm == 40000


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("6110040000000000", "(61) r0 = *(u32 *)(r1 +4)"),
        ("7b1af8ff00000000", "(7b) *(u64 *)(r10 -8) = r1"),
        ("1501050005000000", "(15) if r1 == 0x5 goto pc+5"),
        ("c6010500ffffffff", "(c6) if w1 s< 0xffffffff goto pc+5"),
        ("0500fdff00000000", "(05) goto pc-3"),
        ("db21080001000000", "(db) r2 = atomic64_fetch_add((u64 *)(r1 +8), r2)"),
        ("c3210800f1000000", "(c3) r0 = atomic_cmpxchg((u32 *)(r1 +8), r0, r2)"),
        ("d310080000010000", "(d3) r0 = load_acquire((u8 *)(r1 +8))"),
        ("8500000001000000", "(85) call bpf_map_lookup_elem#1"),
        ("85000000ff0f0000", "(85) call unknown#4095"),
        ("85100000ffffffff", "(85) call pc-1"),
        ("8520000007000000", "(85) call bpf_rcu_read_lock#7"),
        ("40400000fbffffff", "(40) r0 = *(u32 *)skb[r4 + -5]"),
        ("18010000887766550000000044332211", "(18) r1 = 0x1122334455667788"),
        ("ff00000000000000", "(ff) BUG_ff"),
    ],
)
def test_the_kernels_log_format(raw: str, text: str) -> None:
    program = decode(bytes.fromhex(raw))
    following = program[1] if len(program) > 1 else None
    helpers = {1: "map_lookup_elem"}
    kfunc = "bpf_rcu_read_lock" if program[0].src == 2 and program[0].opcode == 0x85 else None
    assert log_text(program[0], following, helpers=helpers.get, kfunc=kfunc) == text


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
@settings(max_examples=10)
@given(data=st.data())
def test_the_kernels_log_is_read_back(row: Row, data: st.DataObject) -> None:
    if row.name.startswith("lddw_") or row.name == "call_kfunc":
        return  # The log writes an address, or a name that only a kernel resolves.
    program = data.draw(instances(row))
    text = log_text(program[0], program[1] if len(program) > 1 else None)
    assert assemble(f"7: {text} ; R1=scalar() R10=fp0").instructions == program


@given(slots, slots)
def test_every_slot_has_a_log_line(first: Instruction, second: Instruction) -> None:
    text = log_text(first, second)
    assert text.startswith(f"({first.opcode:02x}) ")
    assert ("BUG" in text) is (row_of(first) is None)
