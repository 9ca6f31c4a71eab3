"""Kernel objects, dynptrs and iterators: what is followed by its type, or by what was done with it."""

from __future__ import annotations

from skep.verifier.explaining import tales_calls, tales_held, telling
from skep.verifier.explaining.case import REGISTER, MessageForm, form

FORMS: tuple[MessageForm, ...] = (
    form(
        r"Possibly NULL pointer passed to (?:trusted|helper) arg(?P<argument>\d+)",
        "null",
        "A pointer that may be null is passed as argument {argument} (counted from 0).",
        "The function follows it without a check of its own.",
        "Check it for null before the call: if (!pointer) return 0;.",
        tales_calls.argument,
    ),
    form(
        rf"{REGISTER} must be referenced or trusted|R(?P<second>\d+) must be a rcu pointer|"
        r"arg#(?P<argument>\d+) is (?P<type>\S+) expected \S*ptr_ or socket",
        "kernel objects",
        "The object passed may be gone when the function looks at it.",
        "Only pointers that are known to be valid may be passed: arguments of the program, what was acquired, and "
        "what is read under RCU.",
        "Acquire a reference first (bpf_task_acquire() and kin), or read the pointer between bpf_rcu_read_lock() and "
        "bpf_rcu_read_unlock().",
        tales_calls.argument,
    ),
    form(
        rf"{REGISTER} must have zero offset when passed to release func or trusted arg to kfunc",
        "kernel objects",
        "A pointer into the middle of an object is passed.",
        "The function takes the object itself.",
        "Pass the pointer as it was acquired, with nothing added.",
        tales_calls.argument,
    ),
    form(
        r"kernel function (?P<kfunc>\w+) args#(?P<argument>\d+) expected pointer to (?P<expected>.+) but "
        r"R(?P<register>\d+) has a pointer to (?P<actual>.+)",
        "kernel objects",
        "{kfunc}() takes a pointer to {expected}, and gets one to {actual}.",
        "Objects of the kernel are told apart by their types; a cast in C does not change them.",
        "Pass an object of that type, or use the function made for the one at hand.",
        tales_calls.argument,
    ),
    form(
        rf"{REGISTER} is of type (?P<actual>\w+) but (?P<expected>\w+) is expected",
        "kernel objects",
        "A pointer to struct {actual} is passed where struct {expected} is needed.",
        "Objects of the kernel are told apart by their types; a cast in C does not change them.",
        "Pass an object of that type, or follow the member that leads to one.",
        tales_calls.argument,
    ),
    form(
        r"arg#(?P<argument>\d+) pointer type (?P<type>.+) must point to scalar, or struct with scalar",
        "arguments",
        "Argument {argument} (from 0) points to {type}, which holds more than numbers.",
        "Memory that a program passes may only hold plain data where the function reads it as such.",
        "Pass the kernel object that the function expects, acquired or trusted, not memory of the program.",
        tales_calls.argument,
    ),
    form(
        r"arg#(?P<argument>\d+) arg#(?P<size>\d+) memory, len pair leads to invalid memory access",
        "bounds",
        "The memory in argument {argument} (from 0) is shorter than the length in argument {size}.",
        "The function would reach behind its end.",
        "Pass the size of the very buffer: sizeof(buffer).",
        tales_calls.pair,
    ),
    form(
        r"access beyond struct (?P<type>.+) at off (?P<offset>\d+) size (?P<size>\d+)",
        "kernel objects",
        "{size} bytes at offset {offset} are read, behind the end of struct {type}.",
        "The type of the object in this kernel is shorter.",
        "Read a member by name with preserve_access_index (CO-RE), so that its place is that of this kernel.",
        telling.usual,
    ),
    form(
        r"cannot access ptr member (?P<member>\w+) with moff \d+ in struct (?P<type>\w+) with off \d+ size \d+",
        "kernel objects",
        "Part of the pointer {member} in struct {type} is read.",
        "A pointer is read whole, or it would be a number in disguise.",
        "Read the member with its own type.",
        telling.usual,
    ),
    form(
        r"access beyond the end of member (?P<member>\w+) \(mend:(?P<end>\d+)\) in struct (?P<type>\w+) with off "
        r"(?P<offset>\d+) size (?P<size>\d+)",
        "kernel objects",
        "The access goes beyond member {member} of struct {type}, which ends at {end}.",
        "Each access lies within one member.",
        "Read the member with its own size; take parts of it from a copy.",
        telling.usual,
    ),
    form(
        rf"{REGISTER} is ptr_(?P<type>\w+) "
        r"(?P<what>access .*|invalid negative access: off=-?\d+|invalid variable .*)|"
        r"R(?P<second>\d+) is (?P<other>\w+) invalid negative access: off=-?\d+",
        "kernel objects",
        "A kernel object is accessed where it has no member.",
        "Each access lies within one member of the object's type.",
        "Read members by name.",
        telling.usual,
    ),
    form(
        r"Expected an initialized dynptr as arg #(?P<argument>\d+)",
        "dynptrs",
        "Argument {argument} (from 0) is no dynptr that was made on this path.",
        "A dynptr is made by bpf_dynptr_from_...() or bpf_ringbuf_reserve_dynptr(), and ends when it is submitted or "
        "its packet changes.",
        "Make the dynptr on every path before it is used, in the same variable, and check that its bytes were not "
        "written otherwise.",
        tales_calls.argument,
    ),
    form(
        r"Dynptr has to be an uninitialized dynptr",
        "dynptrs",
        "A dynptr is made in a variable that already holds one, or where nothing may be written.",
        "The first one would be lost.",
        "Use a variable of its own on the stack for each dynptr, and end the old one first.",
        telling.usual,
    ),
    form(
        r"cannot overwrite referenced dynptr|potential write to dynptr at off=(?P<offset>-?\d+) disallowed",
        "dynptrs",
        "The bytes of a dynptr on the stack are overwritten.",
        "A reserved record would be lost, or a dynptr forged.",
        "Submit or discard it first; do not touch the variable otherwise, nor index into it.",
        tales_held.made_before,
    ),
    form(
        r"Unsupported reg type (?P<type>\w+) for bpf_dynptr_from_mem data",
        "dynptrs",
        "bpf_dynptr_from_mem() gets memory of the kind {type}.",
        "It takes memory that outlives the function: map values.",
        "Pass (part of) a map value.",
        tales_calls.argument,
    ),
    form(
        r"[Ee]xpected an initialized (?P<iter>iter_\w+) as arg #(?P<argument>\d+)",
        "iterators",
        "Argument {argument} (from 0) is no {iter} that was made on this path.",
        "An iterator is made by its new() function, in one variable, and ends with destroy().",
        "Call the new() function on every path first; bpf_for() and bpf_for_each() do it right.",
        tales_calls.argument,
    ),
    form(
        r"[Ee]xpected uninitialized (?P<iter>iter_\w+) as arg #(?P<argument>\d+)",
        "iterators",
        "An {iter} is made in a variable that already holds one.",
        "The first one would never be destroyed.",
        "Use a variable of its own, or call destroy() first.",
        tales_held.made_before,
    ),
)
