"""Kernel objects and functions, dynptrs, iterators, exceptions: what is followed by its type in the kernel."""

from __future__ import annotations

from skep.verifier import tales
from skep.verifier.case import REGISTER, MessageForm, form

FORMS: tuple[MessageForm, ...] = (
    form(
        r"calling kernel function (?P<kfunc>\w+) is not allowed",
        "permissions",
        "Programs of this type may not call {kfunc}().",
        "Each kernel function is registered for certain program types; it may not be in this kernel either.",
        "Call it from a program of a type that has it, or use a helper for the same purpose.",
        tales.kfunc_type,
    ),
    form(
        r"Possibly NULL pointer passed to (?:trusted|helper) arg(?P<argument>\d+)",
        "null",
        "A pointer that may be null is passed as argument {argument} (counted from 0).",
        "The function follows it without a check of its own.",
        "Check it for null before the call: if (!pointer) return 0;.",
        tales.argument,
    ),
    form(
        rf"{REGISTER} must be referenced or trusted|R(?P<second>\d+) must be a rcu pointer",
        "kernel objects",
        "The object passed may be gone when the function looks at it.",
        "Only pointers that are known to be valid may be passed: arguments of the program, what was acquired, and "
        "what is read under RCU.",
        "Acquire a reference first (bpf_task_acquire() and kin), or read the pointer between bpf_rcu_read_lock() and "
        "bpf_rcu_read_unlock().",
        tales.argument,
    ),
    form(
        rf"{REGISTER} must have zero offset when passed to release func or trusted arg to kfunc",
        "kernel objects",
        "A pointer into the middle of an object is passed.",
        "The function takes the object itself.",
        "Pass the pointer as it was acquired, with nothing added.",
        tales.argument,
    ),
    form(
        r"kernel function (?P<kfunc>\w+) args#(?P<argument>\d+) expected pointer to (?P<expected>.+) but "
        r"R(?P<register>\d+) has a pointer to (?P<actual>.+)",
        "kernel objects",
        "{kfunc}() takes a pointer to {expected}, and gets one to {actual}.",
        "Objects of the kernel are told apart by their types; a cast in C does not change them.",
        "Pass an object of that type, or use the function made for the one at hand.",
        tales.argument,
    ),
    form(
        rf"{REGISTER} is of type (?P<actual>\w+) but (?P<expected>\w+) is expected",
        "kernel objects",
        "A pointer to struct {actual} is passed where struct {expected} is needed.",
        "Objects of the kernel are told apart by their types; a cast in C does not change them.",
        "Pass an object of that type, or follow the member that leads to one.",
        tales.argument,
    ),
    form(
        r"arg#(?P<argument>\d+) pointer type (?P<type>.+) must point to scalar, or struct with scalar",
        "arguments",
        "Argument {argument} (from 0) points to {type}, which holds more than numbers.",
        "Memory that a program passes may only hold plain data where the function reads it as such.",
        "Pass the kernel object that the function expects, acquired or trusted, not memory of the program.",
        tales.argument,
    ),
    form(
        r"arg#(?P<argument>\d+) arg#(?P<size>\d+) memory, len pair leads to invalid memory access",
        "bounds",
        "The memory in argument {argument} (from 0) is shorter than the length in argument {size}.",
        "The function would reach behind its end.",
        "Pass the size of the very buffer: sizeof(buffer).",
        tales.pair,
    ),
    form(
        r"access beyond struct (?P<type>.+) at off (?P<offset>\d+) size (?P<size>\d+)",
        "kernel objects",
        "{size} bytes at offset {offset} are read, behind the end of struct {type}.",
        "The type of the object in this kernel is shorter.",
        "Read a member by name with preserve_access_index (CO-RE), so that its place is that of this kernel.",
        tales.usual,
    ),
    form(
        r"access beyond the end of member (?P<member>\w+) \(mend:(?P<end>\d+)\) in struct (?P<type>\w+) with off "
        r"(?P<offset>\d+) size (?P<size>\d+)",
        "kernel objects",
        "The access goes beyond member {member} of struct {type}, which ends at {end}.",
        "Each access lies within one member.",
        "Read the member with its own size; take parts of it from a copy.",
        tales.usual,
    ),
    form(
        rf"{REGISTER} is ptr_(?P<type>\w+) (?P<what>access .*|invalid negative access: off=-?\d+)|"
        r"R(?P<second>\d+) is (?P<other>\w+) invalid negative access: off=-?\d+",
        "kernel objects",
        "A kernel object is accessed where it has no member.",
        "Each access lies within one member of the object's type.",
        "Read members by name.",
        tales.usual,
    ),
    form(
        r"invalid kernel function (?P<kfunc>\w+) not eliminated in verifier pass|(?P<other>\w+) kfunc .* not found.*",
        "kernel functions",
        "A kernel function that this kernel does not have is called on a path that can be reached.",
        "It was declared __weak, and the call is not behind a check that is known to be false.",
        "Guard it: if (bpf_ksym_exists(function)) function(...);.",
    ),
    form(
        r"Expected an initialized dynptr as arg #(?P<argument>\d+)",
        "dynptrs",
        "Argument {argument} (from 0) is no dynptr that was made on this path.",
        "A dynptr is made by bpf_dynptr_from_...() or bpf_ringbuf_reserve_dynptr(), and ends when it is submitted or "
        "its packet changes.",
        "Make the dynptr on every path before it is used, in the same variable, and check that its bytes were not "
        "written otherwise.",
        tales.argument,
    ),
    form(
        r"Dynptr has to be an uninitialized dynptr",
        "dynptrs",
        "A dynptr is made in a variable that already holds one, or where nothing may be written.",
        "The first one would be lost.",
        "Use a variable of its own on the stack for each dynptr, and end the old one first.",
        tales.usual,
    ),
    form(
        r"cannot overwrite referenced dynptr|potential write to dynptr at off=(?P<offset>-?\d+) disallowed",
        "dynptrs",
        "The bytes of a dynptr on the stack are overwritten.",
        "A reserved record would be lost, or a dynptr forged.",
        "Submit or discard it first; do not touch the variable otherwise, nor index into it.",
        tales.usual,
    ),
    form(
        r"Unsupported reg type (?P<type>\w+) for bpf_dynptr_from_mem data",
        "dynptrs",
        "bpf_dynptr_from_mem() gets memory of the kind {type}.",
        "It takes memory that outlives the function: map values.",
        "Pass (part of) a map value.",
        tales.argument,
    ),
    form(
        r"[Ee]xpected an initialized (?P<iter>iter_\w+) as arg #(?P<argument>\d+)",
        "iterators",
        "Argument {argument} (from 0) is no {iter} that was made on this path.",
        "An iterator is made by its new() function, in one variable, and ends with destroy().",
        "Call the new() function on every path first; bpf_for() and bpf_for_each() do it right.",
        tales.argument,
    ),
    form(
        r"[Ee]xpected uninitialized (?P<iter>iter_\w+) as arg #(?P<argument>\d+)",
        "iterators",
        "An {iter} is made in a variable that already holds one.",
        "The first one would never be destroyed.",
        "Use a variable of its own, or call destroy() first.",
        tales.argument,
    ),
    form(
        r"(?P<call>bpf_throw) kfunc .* cannot be called from callback .*|"
        r"insn (?P<slot>\d+) cannot call exception cb directly|exception cb only supports single integer argument|"
        r"multiple exception callback .*|Global function (?P<name>\w+)\(\) doesn't return scalar.*",
        "exceptions",
        "A rule of exceptions or of the functions that handle them is broken.",
        "The handler takes one number and returns one, is called by bpf_throw() alone, and a program has one.",
        "Declare it int handler(u64 cookie), name it with __exception_cb(handler) on the main program, and do not "
        "throw from callbacks.",
        tales.usual,
    ),
    form(
        r"(?P<ops>attach to unsupported member (?P<member>\w+) of struct (?P<type>\w+))|"
        r"struct ops programs must have a GPL compatible license",
        "program types",
        "The struct_ops program does not fit what it is for.",
        "Programs can implement some members only, under a licence compatible with the GPL.",
        "Leave out this member, or declare the licence.",
    ),
    form(
        r"Only fentry/fexit/fmod_ret, lsm, iter, uprobe, and struct_ops programs can be sleepable",
        "program types",
        "A program of this type cannot be sleepable.",
        "It runs where nothing may sleep.",
        "Use the section name without .s.",
    ),
)
