"""Why a program was rejected and what to do about it, for a person who wrote it in C.

A table: the form of the kernel's message, as a pattern, to a category, what it means and what helps. The first row
that fits is taken. ``{name}`` in a text is a group of the pattern.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Explanation:
    """``category`` is a short name of the kind of problem; the others are one or two sentences each."""

    category: str
    problem: str
    reason: str
    suggestion: str

    def lines(self) -> list[str]:
        """The explanation as indented lines."""
        return [
            f"  problem ({self.category}): {self.problem}",
            f"  reason: {self.reason}",
            f"  suggestion: {self.suggestion}",
        ]

    def as_json(self) -> dict[str, str]:
        """The explanation as a JSON object."""
        return {
            "category": self.category,
            "problem": self.problem,
            "reason": self.reason,
            "suggestion": self.suggestion,
        }


@dataclass(frozen=True, slots=True)
class _Row:
    pattern: re.Pattern[str]
    category: str
    problem: str
    reason: str
    suggestion: str


def explain(message: str) -> Explanation | None:
    """The explanation of one of the kernel's messages, or None for a message that has none here."""
    for row in _ROWS:
        found = row.pattern.fullmatch(message)
        if found is not None:
            facts = {name: text or "" for name, text in found.groupdict().items()}
            return Explanation(
                row.category,
                row.problem.format_map(facts),
                row.reason.format_map(facts),
                row.suggestion.format_map(facts),
            )
    return None


def forms() -> Iterator[str]:
    """The patterns that have an explanation, in the order in which they are tried."""
    for row in _ROWS:
        yield row.pattern.pattern


def _row(pattern: str, category: str, problem: str, reason: str, suggestion: str) -> _Row:
    return _Row(re.compile(pattern), category, problem, reason, suggestion)


_R = r"R(?P<register>\d+)"

_ROWS = (
    _row(
        r"invalid bpf_context access off=(?P<offset>-?\d+) size=(?P<size>\d+)",
        "context",
        "The program reads or writes {size} bytes at offset {offset} of its context, where it may not.",
        "Each program type shows some fields of its context, each in certain sizes, and few of them for writing.",
        "Use a field that this program type has, as a whole and with its declared type; if the compiler narrowed the "
        "access, read the field into a volatile variable first.",
    ),
    _row(
        rf"{_R} invalid mem access 'scalar'",
        "memory",
        "Register {register} is used as a pointer, but it holds a number.",
        "A number cannot be followed: it never was a pointer, or it stopped being one by arithmetic, by a partial "
        "store to the stack or by a call that moves the packet.",
        "Keep the pointer itself, load it again after such a call, and use bpf_probe_read_kernel() for addresses of "
        "kernel memory.",
    ),
    _row(
        rf"{_R} invalid mem access '(?P<type>\w+)_or_null_?'",
        "null",
        "Register {register} may be null and is followed without a check.",
        "It comes from a call that may fail, and no comparison with null lies between the call and this instruction.",
        "Check the pointer: if (!pointer) return 0; before it is used.",
    ),
    _row(
        rf"{_R} invalid mem access '(?P<type>[\w ]+)'",
        "memory",
        "Memory of the kind {type}, which register {register} points to, cannot be accessed like this.",
        "Loads and stores go to the stack, the context, packets, map values and memory that a helper returned.",
        "Pass the pointer to a helper that takes it, or read the memory with the helper made for it.",
    ),
    _row(
        rf"{_R} offset is outside of the packet",
        "packet bounds",
        "Bytes of the packet are accessed that no comparison has shown to be there.",
        "A packet pointer may be followed only as far as a comparison with data_end has covered on this path.",
        "Compare before the access: if (data + offset + size > data_end) return ...; with the very pointer that is "
        "followed, and bound any variable part (& 0x3f) before it is added.",
    ),
    _row(
        rf"{_R} (?P<end>min|max) value is outside of the allowed memory range",
        "bounds",
        "At its {end}imum the access through register {register} lies outside the memory it points to.",
        "What is known of the offset here allows values that leave the map value or memory region.",
        "Compare the index with the number of elements right before the access, in the same unsigned variable, or "
        "mask it: index & (SIZE - 1).",
    ),
    _row(
        rf"{_R} unbounded memory access, make sure to bounds check any such access",
        "bounds",
        "Nothing bounds the offset in register {register} from above.",
        "An offset that may be arbitrarily large cannot be shown to stay inside.",
        "Add a comparison with the size, or a mask, before the offset is added to the pointer.",
    ),
    _row(
        rf"{_R} min value is negative, either use unsigned index or do a if \(index >=0\) check\.",
        "bounds",
        "The offset in register {register} may be negative.",
        "The variable is signed, or a subtraction may have made it so, and only its upper end was compared.",
        "Make the index unsigned, or compare it with 0 as well.",
    ),
    _row(
        rf"{_R} min value is negative, either use unsigned or 'var &= const'",
        "bounds",
        "The size in register {register} may be negative.",
        "Helpers take sizes as unsigned numbers; what may be negative may be huge.",
        "Use an unsigned variable, or size &= MAXIMUM; before the call.",
    ),
    _row(
        rf"{_R} unbounded memory access, use 'var &= const' or 'if \(var < const\)'",
        "bounds",
        "Nothing bounds the size in register {register} from above.",
        "The helper would be allowed to touch any amount of memory.",
        "Compare the size with that of the buffer, or mask it, right before the call.",
    ),
    _row(
        rf"{_R} invalid zero-sized read: u64=\[.*\]",
        "bounds",
        "The size in register {register} may be 0, which this helper does not take.",
        "The lower end of the size was never compared with 0.",
        "Skip the call where the size is 0: if (size == 0) return 0;.",
    ),
    _row(
        r"(?P<place>.*) would lead to reference leak",
        "references",
        "A reference that was acquired is still held.",
        "What bpf_sk_lookup_...(), bpf_ringbuf_reserve() and kin return has to be given back on every path.",
        "Release it (bpf_sk_release(), bpf_ringbuf_submit() or bpf_ringbuf_discard()) before each return, also on "
        "the paths of errors.",
    ),
    _row(
        r"R(?P<register>\d+) !read_ok",
        "registers",
        "Register {register} is read before anything was written to it on this path.",
        "A variable is not initialised on every path, a function has no return statement, or r1 to r5 are used "
        "after a call, which leaves nothing in them.",
        "Give the variable a value where it is declared, and let every path return a value.",
    ),
    _row(
        r"At (?P<place>.*) the register R0 (has .*should have been in \[(?P<low>-?\d+), (?P<high>-?\d+)\]|is not .*)",
        "return value",
        "The program may return a value that its type does not permit.",
        "The kernel acts on the return value of this program type, so that it must lie in a fixed range.",
        "Return one of the permitted constants on every path, or bound the variable before it is returned.",
    ),
    _row(
        r"bpf_spin_unlock of different lock",
        "locks",
        "The lock that is released is not the one that was taken.",
        "The pointers come from two lookups: to the verifier these are two values, even with the same key.",
        "Unlock through the same pointer that was used to lock.",
    ),
    _row(
        r"program of this type cannot use helper (?P<helper>\w+)#(?P<number>\d+)",
        "permissions",
        "Programs of this type may not call {helper}().",
        "Which helpers may be called depends on where a program runs.",
        "Use a helper that this type has (`skep features` lists them), or a program of another type.",
    ),
    _row(
        r"invalid (?P<way>read from|write to|indirect access to) stack R(?P<register>\d+) off=(?P<offset>-?\d+) .*",
        "stack",
        "An access to the stack through register {register} starts at offset {offset}, outside its 512 bytes.",
        "The stack reaches from -512 to 0 below the frame pointer.",
        "Check array sizes and indices of local variables; keep large buffers in a per-CPU array map.",
    ),
    _row(
        r"invalid (unbounded )?variable-offset (?P<way>.*) stack R(?P<register>\d+).*",
        "stack",
        "An access to a local array may leave the stack.",
        "The index is not bounded tightly enough for the array it is used with.",
        "Compare or mask the index right before the access.",
    ),
    _row(
        r"math between (?P<type>\w+) pointer and register with unbounded min value is not allowed",
        "pointers",
        "A number of which nothing is known is added to a {type} pointer.",
        "A pointer may only be moved by an offset that cannot be far out.",
        "Bound the number first: make it unsigned and compare it with its maximum, or mask it.",
    ),
    _row(
        r"math between (?P<type>\w+) pointer and (?P<value>-?\d+) is not allowed|"
        r"(?P<other>\w+) pointer offset (?P<fixed>-?\d+) is not allowed|"
        r"value (?P<far>-?\d+) makes (?P<third>\w+) pointer be out of bounds",
        "pointers",
        "A pointer is moved by a number that is too large.",
        "Offsets are limited to 2^29 in both directions.",
        "Check the computation of the offset; a negative error code added to a pointer is a common cause.",
    ),
    _row(
        rf"{_R} (?P<bits>32)-bit pointer arithmetic prohibited|R(?P<second>\d+) bitwise .*|"
        r"R(?P<third>\d+) pointer arithmetic .*|R(?P<fourth>\d+) pointer .* pointer prohibited|"
        r"R(?P<fifth>\d+) tried to subtract pointer from scalar|R(?P<sixth>\d+) subtraction from stack pointer .*",
        "pointers",
        "This arithmetic makes no sense on a pointer.",
        "Numbers may be added to and subtracted from most pointers, in 64 bits; two pointers may be subtracted.",
        "Compute the offset in a number of its own and add it last; check pointers for null before arithmetic.",
    ),
    _row(
        rf"{_R} type=(?P<type>\w+) expected=(?P<expected>.*)",
        "arguments",
        "Argument {register} is of kind {type}; the function takes: {expected}.",
        "The prototype of a helper fixes what each argument must point to.",
        "Pass a pointer of that kind: copy data to a local variable first, or check for null what may be null.",
    ),
    _row(
        r"infinite loop detected at insn (?P<slot>\d+)",
        "loops",
        "A loop comes back to instruction {slot} with nothing changed.",
        "Such a loop would never end.",
        "Make sure that the counter changes in every round and is compared with a constant; bpf_loop() or "
        "bpf_for() are for counts that are not known.",
    ),
    _row(
        r"BPF program is too large\. Processed (?P<count>\d+) insn",
        "complexity",
        "Following all paths took more than a million instructions.",
        "Loops with many rounds, and branches inside them, multiply the paths.",
        "Use bpf_loop() for long loops, move code to global functions, and keep fewer branches inside loops.",
    ),
    _row(
        r"last insn is not an exit or jmp|unreachable insn \d+|jump out of range from insn (?P<from>\d+) to \S+|"
        r"call to invalid destination|jump into the middle of ldimm64 insn \d+",
        "structure",
        "The control flow of the program is broken.",
        "Every function has to end in a return or a jump, jumps stay within their function, and all code is reached.",
        "Rebuild with a current clang at -O2; in hand-written assembly look at the jump distances.",
    ),
    _row(
        r".* uses reserved fields|invalid bpf_ld_imm64 insn|unrecognized bpf_ld_imm64 insn|unknown opcode \w+|"
        r"R\d+ is invalid|invalid BPF_LD_IMM insn|BPF_ATOMIC uses invalid atomic opcode \w+",
        "structure",
        "An instruction is not well-formed.",
        "Its opcode or a field that has to be zero is not what the instruction set says.",
        "Build with clang, or look the instruction up in RFC 9669; `skep disasm` shows what is wrong with it.",
    ),
    _row(
        r"cannot pass map_type \d+ into func \w+#\d+|expected prog array map for tail call",
        "maps",
        "The helper does not take maps of this type.",
        "Some maps are for certain helpers only, and some helpers for certain maps.",
        "Use the helper made for this map type, or a map of another type.",
    ),
    _row(
        r"same insn cannot be used with different pointers",
        "pointers",
        "One instruction is reached with two kinds of pointer.",
        "Accesses to a context or socket are rewritten, which can only be done for one kind.",
        "Keep the compiler from merging the two branches, with a barrier or separate functions.",
    ),
    _row(
        r"combined stack size of (?P<calls>\d+) calls is (?P<bytes>\d+)\. Too large|tail_calls are not allowed .*",
        "stack",
        "The functions that call each other use too much stack together.",
        "A chain of calls shares 512 bytes, 256 where it ends in a tail call.",
        "Move large local variables to a per-CPU array map, or make functions inline.",
    ),
    _row(
        r"the call stack of (?P<frames>\d+) frames is too deep ?!?",
        "structure",
        "Calls are nested too deeply.",
        "At most eight functions may be active at once, and none may call itself.",
        "Make small functions inline.",
    ),
    _row(
        r"div by zero|invalid shift -?\d+",
        "arithmetic",
        "An operation has a constant operand that makes no sense.",
        "Division by the constant 0, and shifts by the width or more, are mistakes for sure.",
        "Look at the constant.",
    ),
    _row(
        r"misaligned (?P<what>[\w ]*)access off .* size (?P<size>\d+)",
        "alignment",
        "An access of {size} bytes is not aligned to its size.",
        "Accesses to the stack, atomic ones, and all under strict alignment have to be.",
        "Align the variable or field, or copy it byte by byte.",
    ),
    _row(
        r"dereference of modified (?P<type>\w+) ptr R\d+ off=-?\d+ disallowed|variable (?P<second>\w+) access .*|"
        r"negative offset (?P<third>\w+) ptr R\d+ off=-?\d+ disallowed",
        "pointers",
        "A pointer that must be used as it came was moved first.",
        "Accesses to the context and to sockets are rewritten, and helpers take these pointers unmodified.",
        "Access fields directly from the original pointer, with a constant offset.",
    ),
    _row(
        rf"{_R} must be referenced when passed to release function|func \S+ reference has not been acquired before",
        "references",
        "Something is released that was not acquired.",
        "It was given back before, or is not what the acquiring call returned.",
        "Release exactly the pointer that was acquired, once, and not after it may be null.",
    ),
    _row(
        r"(write into|read from) map forbidden.*|only read from \w+ is supported|.* cannot write into .*|"
        r"cannot write into packet",
        "permissions",
        "Memory is written (or read) that the program may not write (or read).",
        "Constants (.rodata), map keys and some packets are read-only.",
        "Copy the data to a variable or map of your own first.",
    ),
    _row(
        r"(?P<field>\w+) cannot be accessed directly by load/store",
        "locks",
        "The field {field} is touched by a plain load or store.",
        "Such fields belong to the helpers that work on them.",
        "Copy the other members one by one instead of the whole structure.",
    ),
    _row(
        r"function calls are not allowed while holding a lock|Locking two bpf_spin_locks are not allowed|"
        r"bpf_spin_unlock without taking a lock|.* cannot be used inside bpf_spin_lock-ed region|"
        r"use static function instead",
        "locks",
        "A rule of spin locks is broken.",
        "One lock at a time, no call but the one that unlocks, and none held at the end.",
        "Do lookups and other calls before the lock is taken, and unlock on every path.",
    ),
    _row(
        r"tracing progs cannot use (?P<what>\S+) yet|socket filter progs cannot use bpf_spin_lock yet",
        "permissions",
        "The program uses a map with a field that its type must not use.",
        "Programs of this type run where the locks of such fields could deadlock.",
        "Use a map without that field, and atomic instructions instead of a lock.",
    ),
    _row(
        r"invalid access to map value pointer, .*|direct value offset of \d+ is not allowed|"
        r"fd -?\d+ is not pointing to valid bpf_map|no direct value access support for this map type",
        "maps",
        "An instruction refers to a map, or a place in it, that is not there.",
        "Global variables live in maps of one element, and an address must lie inside.",
        "Rebuild the object, and check the sizes of maps that were changed after building.",
    ),
    _row(
        r"invalid func unknown#(?P<number>-?\d+)",
        "permissions",
        "There is no helper with the number {number}.",
        "The object was built for a newer kernel, or an instruction for another one was poisoned when it was loaded.",
        "Check for the feature before it is used (bpf_core_...), or build for this kernel.",
    ),
    _row(
        r"cannot call GPL-restricted function from non-GPL compatible program",
        "permissions",
        "The helper is only for programs under a licence compatible with the GPL.",
        "The object declares another licence, or none.",
        'Declare char LICENSE[] SEC("license") = "GPL"; if that is its licence.',
    ),
    _row(
        r"helper access to the packet is not allowed",
        "arguments",
        "A pointer into the packet is passed to a helper that does not take one.",
        "Only some helpers read packets directly.",
        "Copy the bytes to a local variable first.",
    ),
    _row(
        r"frame pointer is read only",
        "registers",
        "The program writes r10.",
        "r10 is the frame pointer and cannot be changed.",
        "Use another register.",
    ),
    _row(
        r"invalid size of register (fill|spill)|cannot spill pointers to stack into stack frame of the caller|"
        r"cannot return stack pointer to the caller",
        "stack",
        "A pointer is kept in a place where it cannot be followed.",
        "A pointer on the stack is stored and loaded whole, and one to the stack must not outlive its function.",
        "Keep pointers in 8-byte variables of their own.",
    ),
)
