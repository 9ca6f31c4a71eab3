"""Kernel functions and variables: what a call of one needs beyond the types of its arguments."""

from __future__ import annotations

from skep.verifier.explaining import tales_calls, tales_held, tales_values, telling
from skep.verifier.explaining.case import REGISTER, MessageForm, form

FORMS: tuple[MessageForm, ...] = (
    form(
        r"calling kernel function (?P<kfunc>\w+) is not allowed",
        "permissions",
        "Programs of this type may not call {kfunc}().",
        "Each kernel function is registered for certain program types; it may not be in this kernel either.",
        "Call it from a program of a type that has it, or use a helper for the same purpose.",
        tales_calls.kfunc_type,
    ),
    form(
        r"cannot call kernel function from non-GPL compatible program|"
        r"Cannot access kernel 'struct (?P<type>\w+)' from non-GPL compatible program",
        "permissions",
        "A kernel function or structure is used by a program that is not under a licence compatible with the GPL.",
        "The object declares another licence, or none.",
        'Declare char LICENSE[] SEC("license") = "GPL"; if that is its licence.',
    ),
    form(
        r"invalid kernel function (?P<kfunc>\w+) not eliminated in verifier pass|"
        r"failed to find BTF for kernel function|kernel btf_id (?P<id>\d+) is not a function|"
        r"invalid module BTF object FD specified\.|kernel function .* returns pointer type .* is not supported|"
        r"kernel function \w+ args#\d+ pointer type .* is not supported",
        "kernel functions",
        "A kernel function that this kernel does not have, or not like this, may be called.",
        "It was declared __weak and the call is not behind a check that is known to be false, or the object was "
        "built for another kernel.",
        "Guard it: if (bpf_ksym_exists(function)) function(...);.",
    ),
    form(
        r"ldimm64 (?:insn specifies invalid btf_id (?P<id>\d+)\.|failed to find the address for kernel symbol .*)|"
        r"pseudo btf_id .* in ldimm64 isn't KIND_VAR or KIND_FUNC",
        "kernel functions",
        "A kernel variable that this kernel does not have is used.",
        "Its address is filled in by a loader, from the kernel's own symbols.",
        "Declare it extern ... __ksym __weak, and check it for null.",
    ),
    form(
        r"metadata kfuncs require device-bound program",
        "permissions",
        "A function that reads metadata of a network card is called by a program that is bound to none.",
        "What the card knows of a packet is in a form of its own.",
        "Load the program for one interface (BPF_F_XDP_DEV_BOUND_ONLY and its index).",
    ),
    form(
        r"kfunc (?P<kfunc>\w+)#\d+ reference has not been acquired before",
        "references",
        "{kfunc}() releases something that the program does not own.",
        "Only what a call acquired for the program is the program's to give back, and once.",
        "Release the pointer that the acquiring call returned, before it is given away otherwise.",
        telling.usual,
    ),
    form(
        rf"{REGISTER} is not a scalar",
        "arguments",
        "Argument {register} has to be a number, and is a pointer.",
        "The prototype of the function fixes what each argument is.",
        "Pass the value, not its address.",
        telling.usual,
    ),
    form(
        rf"{REGISTER} is not a const",
        "arguments",
        "Argument {register} has to be a constant, and is none.",
        "The size of what is passed or returned has to be known when the program is loaded.",
        "Give the size as a constant (sizeof).",
        tales_values.constant,
    ),
    form(
        r"arg#(?P<argument>\d+) doesn't point to a const string|Invalid format string",
        "arguments",
        "A constant string is needed, or a format that is understood.",
        "Formats are read when the program is loaded: %d, %u, %x, %p, %s, %c and kin, with as many arguments.",
        "Keep it in .rodata (const char format[] = ...), with conversions that the kernel has and one argument each.",
        telling.usual,
    ),
    form(
        r"more than one arg with ref_obj_id R(?P<register>\d+) .*",
        "references",
        "Two references are passed to one call.",
        "Which of them a call gives up would not be known.",
        "Pass one acquired pointer at a time; copy what one points to, to the stack for instance.",
        telling.usual,
    ),
    form(
        r"helper call is not allowed in probe|(?P<what>.+) not supported for program type (?P<type>.+)|"
        r"(?P<only>.+) supported only for (?P<types>.+) programs",
        "permissions",
        "A helper is called that programs attached like this may not call.",
        "What a helper works on exists only where the kernel calls the program with it.",
        "Attach the program as the message says, or get the value in another way.",
        telling.usual,
    ),
    form(
        r"arg#(?P<argument>\d+) expected pointer to an iterator on stack|"
        r"arg#(?P<dynptr>\d+) expected pointer to stack or const struct bpf_dynptr|"
        r"arg#(?P<flag>\d+) doesn't point to an irq flag on stack|"
        r"arg#(?P<other>\d+) doesn't point to map value or allocated object",
        "arguments",
        "The argument is no variable of the kind that this call works on.",
        "Iterators, dynptrs and interrupt flags are local variables of their own; locks lie in map values and "
        "allocations.",
        "Pass the address of that variable: &it, &ptr, &flags.",
        tales_calls.argument,
    ),
    form(
        r"css_task_iter is only allowed in bpf_lsm, bpf_iter and sleepable progs",
        "sections",
        "Programs of this kind may not walk the tasks of a control group.",
        "The walk takes a lock that the program may have interrupted, except in LSM programs, iterators and "
        "sleepable programs.",
        'Make the program sleepable, or walk the tasks in an iterator program (SEC("iter/task")).',
    ),
    form(
        r"expected an RCU CS when using (?P<function>\w+)|"
        r"kernel func (?P<kfunc>\w+) requires RCU critical section protection",
        "sections",
        "{function}{kfunc}() is called outside of an RCU read section.",
        "What it walks or returns is only kept alive by RCU.",
        "Call bpf_rcu_read_lock() before it, and bpf_rcu_read_unlock() once its result is no longer used.",
    ),
    form(
        r"expected (?:an |un)initialized irq flag as (?P<argument>\S+)|irq flag acquired by .*|"
        r"cannot restore irq state out of order, .*",
        "sections",
        "Saved interrupt flags are restored that were not saved, or not in order.",
        "What was disabled last is restored first, by the function that belongs to the one that saved it.",
        "Pair each save with one restore, of the same variable, innermost first.",
        tales_held.section,
    ),
    form(
        r"kern ctx type id \d+ is not a struct",
        "arguments",
        "bpf_cast_to_kern_ctx() has nothing to cast to in programs of this type.",
        "The kernel keeps no structure of its own behind the context of this program type.",
        "Read the fields of the context itself, or use a program type whose context has a structure behind it, "
        "such as xdp or tc.",
    ),
)
