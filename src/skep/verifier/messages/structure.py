"""What can be said before paths are followed, and what following them costs."""

from __future__ import annotations

from skep.verifier import tales_values, telling
from skep.verifier.case import MessageForm, form

FORMS: tuple[MessageForm, ...] = (
    form(
        r"infinite loop detected at insn (?P<slot>\d+)",
        "loops",
        "A loop comes back to instruction {slot} with nothing changed.",
        "Such a loop would never end.",
        "Make sure that the counter changes in every round and is compared with a constant; bpf_loop() or "
        "bpf_for() are for counts that are not known.",
        tales_values.loop,
    ),
    form(
        r"BPF program is too large\. Processed (?P<count>\d+) insn",
        "complexity",
        "Following all paths took more than a million instructions.",
        "Loops with many rounds, and branches inside them, multiply the paths.",
        "Use bpf_loop() for long loops, move code to global functions, and keep fewer branches inside loops.",
        tales_values.too_large,
    ),
    form(
        r"The sequence of (?P<count>\d+) jumps is too complex(?: for async cb)?\.",
        "complexity",
        "{count} branches wait to be followed at once.",
        "Each branch that can go both ways is kept until its turn comes; there is room for 8192.",
        "Make loops with branches inside shorter, or use bpf_loop() or bpf_for() for them.",
        tales_values.too_large,
    ),
    form(
        r"last insn is not an exit or jmp",
        "structure",
        "A function runs past its end.",
        "Every function ends in a return or a jump.",
        "Return a value at the end of the function. clang also leaves out code behind undefined behaviour (an "
        "uninitialised variable, an endless loop without effect): look for that too.",
    ),
    form(
        r"unreachable insn (?P<slot>\d+)",
        "structure",
        "No path leads to instruction {slot}.",
        "Code that is never reached is a mistake, or a damaged program.",
        "Build with clang at -O2; in hand-written assembly look at the jump distances before it.",
    ),
    form(
        r"jump out of range from insn (?P<from>\d+) to (?P<to>\S+)|call to invalid destination",
        "structure",
        "A jump or call leads out of its function.",
        "Jumps stay within their function, calls lead to the start of one.",
        "In hand-written assembly count the distance from the next instruction; a wide load takes two slots.",
    ),
    form(
        r"jump into the middle of ldimm64 insn (?P<slot>\d+)",
        "structure",
        "A jump leads into the second half of the wide load at {slot}.",
        "A 64-bit immediate takes two slots, and only the first is an instruction.",
        "Add one to the distance of the jump.",
    ),
    form(
        r"(?P<what>.+) uses reserved fields|invalid may_goto imm -?\d+",
        "structure",
        "A field of the instruction that has to be zero is not.",
        "Fields that an instruction does not use are reserved.",
        "Set it to zero (RFC 9669 lists the fields); `skep disasm` shows which.",
    ),
    form(
        r"unknown opcode (?P<opcode>\w+)|BPF_ATOMIC uses invalid atomic opcode (?P<atomic>\w+)",
        "structure",
        "Opcode {opcode}{atomic} is no instruction.",
        "The bytes are damaged, or meant for another machine or a newer instruction set.",
        "Check how the program was made; clang's -mcpu=v3 keeps to what all kernels know.",
    ),
    form(
        r"invalid bpf_ld_imm64 insn|unrecognized bpf_ld_imm64 insn|invalid BPF_LD_IMM insn",
        "structure",
        "A 64-bit load is incomplete, or of an unknown kind.",
        "It takes two slots, of which the second has only its immediate.",
        "Do not jump over half of it, and do not end the program with it.",
    ),
    form(
        r"invalid access to map value pointer, .*|direct value offset of (?P<offset>\d+) is not allowed",
        "maps",
        "The address of a global variable lies outside of its map.",
        "Global variables live in maps of one element.",
        "Rebuild the object, and check the sizes of maps that were changed after building.",
    ),
    form(
        r"no direct value access support for this map type",
        "maps",
        "The address of a value of this map is used, and its type has none.",
        "Only arrays (of global variables) have values at fixed addresses.",
        "Look the value up with bpf_map_lookup_elem().",
    ),
    form(
        r"fd (?P<fd>-?\d+) is not pointing to valid bpf_map|fd_idx without fd_array is invalid",
        "maps",
        "The program refers to a map that there is not.",
        "A loader puts a map's descriptor into the instruction.",
        "Load the program from its object file, so that maps are made and filled in.",
    ),
    form(
        r"Sleepable programs can only use array, hash, ringbuf and local storage maps",
        "maps",
        "A sleepable program uses a map of a type that it must not.",
        "Values of other maps may go away while the program sleeps.",
        "Use an array, a hash, a ring buffer or a storage map.",
    ),
    form(
        r"only one cgroup storage of each type is allowed",
        "maps",
        "The program uses two cgroup storages of one type.",
        "Each cgroup has one storage for a program, shared or for each CPU.",
        "Put all members into one structure, in one map.",
    ),
    form(
        r"bpf_struct_ops map cannot be used in prog",
        "maps",
        "The program uses a struct_ops map.",
        "Such maps are made of programs, and not for them.",
        "Keep the data in a map of another type.",
    ),
    form(
        r"combined stack size of (?P<calls>\d+) calls is (?P<bytes>\d+)\. Too large",
        "stack",
        "{calls} functions that call each other use {bytes} bytes of stack together.",
        "A chain of calls shares 512 bytes, each function rounded up to 32 (16 where a JIT allows).",
        "Move large local variables to a per-CPU array map, or make functions inline.",
        tales_values.deep_stack,
    ),
    form(
        r"tail_calls are not allowed when call stack of previous frames is (?P<bytes>\d+) bytes\. Too large",
        "stack",
        "A function that tail-calls is called with {bytes} bytes of stack in use.",
        "Where a chain of calls ends in a tail call, its callers share 256 bytes.",
        "Tail-call from the main program, or use less stack before.",
        tales_values.deep_stack,
    ),
    form(
        r"the call stack of (?P<frames>\d+) frames is too deep ?!?|recursive call from .*",
        "structure",
        "Calls are nested too deeply.",
        "At most eight functions may be active at once, and none may call itself.",
        "Make small functions inline; turn recursion into a loop.",
        telling.usual,
    ),
    form(
        r"the program is empty",
        "structure",
        "There are no instructions.",
        "A program returns at least.",
        "Check the section that the object has it in.",
    ),
)
