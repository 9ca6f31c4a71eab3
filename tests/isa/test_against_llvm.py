"""The kernel dialect and its encodings, compared with what LLVM's assembler makes of the same text."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from skep.isa import TABLE, Instruction, Row, assemble, encode, instruction_text

CLANG = next((path for version in ("22", "21", "20") if (path := shutil.which(f"clang-{version}"))), None)

pytestmark = pytest.mark.skipif(CLANG is None, reason="no clang of version 20 or later is installed")

#: What LLVM has no text for: names and identities of maps, kernel symbols and functions, and calls by pseudo source
#: (it writes relocations instead), and an indirect packet load with a distance.
WITHOUT_TEXT = {row.name for row in TABLE if row.name.startswith("lddw_") or row.name == "call_kfunc"}


def examples(row: Row) -> list[tuple[Instruction, ...]]:
    """A few instructions of a row with its free fields at telling values."""
    numbers = (0, 1, -1, 0x7FFFFFFF, -0x80000000) if row.imm is None else (row.imm,)
    offsets = (0, 8, -8, 0x7FFF, -0x8000) if row.offset is None else (row.offset,)
    found: list[tuple[Instruction, ...]] = []
    for index in range(max(len(numbers), len(offsets))):
        imm, offset = numbers[index % len(numbers)], offsets[index % len(offsets)]
        if row.name == "addr_space_cast":
            imm = (1, 0x10000)[index % 2]
        if row.name == "gotol":
            # LLVM reads 32-bit distances from labels only.
            imm = (0, 8, -8, 0x7FFF, -0x8000)[index]
        if row.name == "call_helper":
            imm &= 0x7FFFFFFF
        if row.name.startswith("ldind"):
            imm = 0
        if row.name.startswith("ldabs"):
            imm = abs(imm) & 0x7FFFFFFF
        dst = 3 + index if row.dst is None else row.dst
        src = 10 - index if row.src is None else row.src
        first = Instruction(row.opcode, dst, src, offset, imm)
        found.append((first, Instruction(0, imm=imm >> 1)) if row.is_wide else (first,))
    return found


def by_clang(lines: list[str], directory: Path, target: str) -> bytes:
    source, output = directory / "text.s", directory / "text.o"
    source.write_text("\n".join(lines) + "\n")
    assert CLANG is not None
    command = [CLANG, f"--target={target}", "-mcpu=v4", "-c", str(source), "-o", str(output)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode < 0:
        pytest.skip(f"clang was killed by signal {-done.returncode}")
    assert done.returncode == 0, done.stderr
    return code_of(output)


def code_of(output: Path) -> bytes:
    with output.open("rb") as file:
        section = ELFFile(file).get_section_by_name(".text")
        assert section is not None
        return bytes(section.data())


@pytest.mark.parametrize(("target", "byte_order"), [("bpfel", "little"), ("bpfeb", "big")])
def test_what_is_disassembled_assembles_to_the_same_bytes_with_llvm(
    tmp_path: Path, target: str, byte_order: str
) -> None:
    program: list[Instruction] = []
    lines: list[str] = []
    for row in TABLE:
        if row.name in WITHOUT_TEXT:
            continue
        for instruction in examples(row):
            text = instruction_text(*instruction)
            if row.name == "call_subprogram":
                # A distance is what LLVM reads as a helper's number; a label of its own text says the same.
                continue
            lines.append(text)
            program += instruction
    assembled = by_clang(lines, tmp_path, target)
    ours = encode(program, byte_order)
    differing = [
        (text, assembled[start : start + 8].hex(), ours[start : start + 8].hex())
        for start, text in zip(starts(lines), lines, strict=True)
        if assembled[start : start + 8] != ours[start : start + 8]
    ]
    assert differing == []
    assert assembled == ours


def starts(lines: list[str]) -> list[int]:
    """The byte offset of each line's instruction."""
    position, found = 0, []
    for line in lines:
        found.append(position)
        position += 16 if line.endswith(" ll") else 8
    return found


PROGRAM = """
    r6 = r1
    r2 = 0x1122334455667788 ll
    w3 = *(u8 *)(r6 + 0)
    if w3 != 0 goto far
loop:
    r2 += -1
    call callee
    if r2 s> 10 goto loop
    gotol far
    r0 = 1
    exit
callee:
    lock *(u64 *)(r10 - 8) += r2
    r2 = atomic_fetch_or((u64 *)(r10 - 8), r2)
    exit
far:
    may_goto loop
    r0 = external ll
    r0 = external+16 ll
    exit
"""


def test_labels_and_symbols_assemble_as_with_llvm(tmp_path: Path) -> None:
    ours = assemble(PROGRAM, dialect="kernel")
    assert encode(ours.instructions) == by_clang([PROGRAM], tmp_path, "bpfel")
    assert [symbol.name for symbol in ours.symbols.values()] == ["external", "external"]


C_SOURCE = """
extern int counter;
static __attribute__((noinline)) long helper(long a, int b) { return a * b + (signed char)a; }
long program(unsigned long *context, int b, unsigned char *bytes) {
    unsigned long sum = 0;
    for (int i = 0; i < b; i++) {
        sum += helper(context[i], bytes[i]) / (context[0] + 1);
        __sync_fetch_and_add(&counter, (int)sum);
#if __BPF_CPU_VERSION__ >= 3
        if (__sync_val_compare_and_swap(context, sum, i) == 5) sum ^= __builtin_bswap32(sum);
#endif
#if __BPF_CPU_VERSION__ >= 4
        sum += __atomic_load_n(bytes, __ATOMIC_ACQUIRE) + (short)sum % 7;
#endif
    }
    return sum;
}
"""


@pytest.mark.parametrize("cpu", ["v1", "v3", "v4"])
def test_what_clang_writes_as_assembly_is_read(tmp_path: Path, cpu: str) -> None:
    source, text, output = tmp_path / "program.c", tmp_path / "program.s", tmp_path / "program.o"
    source.write_text(C_SOURCE)
    assert CLANG is not None
    command = [CLANG, "--target=bpfel", f"-mcpu={cpu}", "-O2", str(source)]
    for rest in (["-S", "-o", str(text)], ["-c", "-o", str(output)]):
        done = subprocess.run([*command, *rest], capture_output=True, text=True, check=False)
        if done.returncode < 0:
            pytest.skip(f"clang was killed by signal {-done.returncode}")
        assert done.returncode == 0, done.stderr
    lines = text.read_text().split("\n")
    kept = [line for line in lines if not line.lstrip().startswith((".section", ".extern"))]
    assert encode(assemble("\n".join(kept)).instructions) == code_of(output)
