"""What is in registers: pointer arithmetic, numbers, values never written, what is returned."""

from __future__ import annotations

from skep.verifier.explaining import tales_memory, tales_values
from skep.verifier.explaining.case import REGISTER, MessageForm, form

FORMS: tuple[MessageForm, ...] = (
    form(
        rf"{REGISTER} !read_ok",
        "registers",
        "Register {register} is read before anything was written to it on this path.",
        "A variable is not initialised on every path, a function has no return statement, or r1 to r5 are used "
        "after a call, which leaves nothing in them.",
        "Give the variable a value where it is declared, and let every path return a value.",
        tales_values.never_written,
    ),
    form(
        r"frame pointer is read only",
        "registers",
        "The program writes r10.",
        "r10 is the frame pointer and cannot be changed.",
        "Use another register.",
    ),
    form(
        r"R(?P<register>\d+) is invalid",
        "structure",
        "The instruction names register {register}, which there is not.",
        "Registers are r0 to r10.",
        "Look at the bytes of the instruction with `skep disasm`; the object may be damaged.",
    ),
    form(
        r"(?P<place>At .*) the register R(?P<register>\d+) "
        r"(has .*should have been in \[(?P<low>-?\d+), (?P<high>-?\d+)\]|is not a known value .*)",
        "return value",
        "A value may be returned that is not permitted here.",
        "The kernel acts on what programs of this type, and callbacks, return: it must lie in a fixed range.",
        "Return one of the permitted constants on every path, or bound the variable before it is returned.",
        tales_values.return_value,
    ),
    form(
        r"R0 not a scalar value",
        "return value",
        "A function returns a pointer where a number is needed.",
        "Callbacks and programs return numbers.",
        "Return 0 or 1.",
        tales_values.return_value,
    ),
    form(
        r"cannot return stack pointer to the caller",
        "stack",
        "A function returns the address of one of its local variables.",
        "Its stack is gone once it has returned.",
        "Let the caller pass the address of its own variable, to be filled in.",
        tales_values.return_value,
    ),
    form(
        r"math between (?P<type>\w+) pointer and register with unbounded min value is not allowed",
        "pointers",
        "A number of which too little is known is added to a {type} pointer.",
        "A pointer may only be moved by an offset that cannot be far out.",
        "Bound the number first: make it unsigned and compare it with its maximum, or mask it.",
        tales_values.unbounded_math,
    ),
    form(
        r"math between (?P<type>\w+) pointer and (?P<value>-?\d+) is not allowed|"
        r"(?P<other>\w+) pointer offset (?P<fixed>-?\d+) is not allowed|"
        r"value (?P<far>-?\d+) makes (?P<third>\w+) pointer be out of bounds",
        "pointers",
        "A pointer is moved by a number that is too large.",
        "Offsets are limited to 2^29 in both directions.",
        "Check the computation of the offset; a negative error code added to a pointer is a common cause.",
        tales_values.constant_math,
    ),
    form(
        rf"{REGISTER} pointer arithmetic on (?P<type>\w+) prohibited, null-check it first",
        "null",
        "Register {register} may be null and is moved without a check.",
        "An offset added to null is no null any more, so that a check behind it would find nothing.",
        "Check the pointer for null first, then add the offset.",
        tales_memory.null,
    ),
    form(
        rf"{REGISTER} pointer arithmetic on (?P<type>\w+) prohibited",
        "pointers",
        "A pointer of the kind {type}, in register {register}, is moved.",
        "Such a pointer is used as it is: there is nothing beside what it points to.",
        "Use the original pointer; for packets move data, not data_end.",
    ),
    form(
        rf"{REGISTER} (?P<bits>\d+)-bit pointer arithmetic prohibited",
        "pointers",
        "A pointer is changed by {bits}-bit arithmetic, which cuts it in half.",
        "Addresses have 64 bits.",
        "Compute with 64-bit types: a cast to int or __u32 of a pointer, or of a difference, is a common cause.",
    ),
    form(
        rf"{REGISTER} bitwise operator (?P<operator>\S+) on pointer prohibited|"
        r"R(?P<second>\d+) pointer arithmetic with (?P<other>\S+) operator prohibited",
        "pointers",
        "This operation makes no sense on a pointer.",
        "Only numbers may be added to or subtracted from a pointer.",
        "Compute the offset in a number of its own and add it last; align the offset, not the address.",
    ),
    form(
        rf"{REGISTER} pointer (?P<operator>\S+) pointer prohibited",
        "pointers",
        "Two pointers are combined by {operator}.",
        "Only two pointers into the same packet may be subtracted; nothing else is meant by two addresses.",
        "Add an offset, a number, instead of the second pointer.",
    ),
    form(
        rf"{REGISTER} tried to subtract pointer from scalar|"
        r"R(?P<second>\d+) subtraction from stack pointer prohibited",
        "pointers",
        "A pointer is subtracted from a number, or a number that is not known from the frame pointer.",
        "The result would be an address in disguise.",
        "Turn it round: keep the pointer on the left and subtract the number, or count with indices.",
    ),
    form(
        r"div by zero",
        "arithmetic",
        "A number is divided by the constant 0.",
        "Dividing by a register that is 0 gives 0 in BPF; by the constant it is a mistake for sure.",
        "Look at the constant, which may come from a macro or a sizeof.",
    ),
    form(
        r"invalid shift (?P<amount>-?\d+)",
        "arithmetic",
        "A number is shifted by the constant {amount}.",
        "Shifts go up to 31 bits for 32-bit variables and to 63 for 64-bit ones.",
        "Look at the constant, and at the type of what is shifted: 1ULL << 40 instead of 1 << 40.",
    ),
    form(
        r"dereference of modified (?P<type>\w+) ptr R(?P<register>\d+) off=(?P<offset>-?\d+) disallowed",
        "pointers",
        "A {type} pointer that must be used as it came was moved by {offset} bytes first.",
        "Accesses to it are rewritten by their constant offset, and calls take it unmodified.",
        "Access fields directly from the original pointer; if the compiler shares an addition between branches, "
        "keep the pointer in a variable with barrier_var().",
    ),
    form(
        r"negative offset (?P<type>\w+) ptr R(?P<register>\d+) off=(?P<offset>-?\d+) disallowed",
        "pointers",
        "A {type} pointer is moved backwards, by {offset} bytes.",
        "Nothing that the program may see lies before the start of it.",
        "Use the original pointer.",
    ),
    form(
        r"variable (?P<type>\w+) access var_off=(?P<bits>\(.*\)) disallowed",
        "pointers",
        "A {type} pointer is accessed at an offset that is not constant.",
        "Which field is meant has to be known when the program is loaded.",
        "Access each field by name; choose between fields with if or switch instead of an index.",
    ),
    form(
        r"invalid size of register (?P<way>fill|spill)",
        "stack",
        "Part of a pointer is stored on the stack or loaded from it.",
        "A pointer that is stored in halves would be only bytes; it is stored and loaded whole, 8 bytes.",
        "Keep pointers in 8-byte variables of their own, and do not overlay them in a union.",
    ),
    form(
        r"cannot spill pointers to stack into stack frame of the caller",
        "stack",
        "A function stores a pointer to its own stack in a variable of its caller.",
        "That stack is gone once the function has returned.",
        "Pass data out by value, or let the caller provide the memory.",
    ),
    form(
        r"attempt to corrupt spilled pointer on stack|corrupted spill memory",
        "stack",
        "Bytes are written into the middle of a pointer on the stack.",
        "The rest would be followed as if it were a pointer.",
        "Keep pointers in 8-byte variables of their own.",
    ),
    form(
        r"leaking pointer from .*|R(?P<register>\d+) leaks addr .*",
        "pointers",
        "An address of the kernel would become visible outside.",
        "Addresses must not leak to those who may not know them.",
        "Store numbers only; subtract pointers to get a length.",
    ),
)
