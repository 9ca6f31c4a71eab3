"""Calls: who may call what, with which arguments; maps in calls; functions of the program."""

from __future__ import annotations

from skep.verifier.explaining import tales_calls, telling
from skep.verifier.explaining.case import REGISTER, MessageForm, form

FORMS: tuple[MessageForm, ...] = (
    form(
        r"program of this type cannot use helper (?P<helper>\w+)#(?P<number>\d+)",
        "permissions",
        "Programs of this type may not call {helper}().",
        "Which helpers may be called depends on where a program runs.",
        "Use a helper that this type has, or a program of another type.",
        tales_calls.helper_type,
    ),
    form(
        r"invalid func unknown#(?P<number>-?\d+)",
        "permissions",
        "There is no helper with the number {number}.",
        "The object was built for a newer kernel, or an instruction for another one was poisoned when it was loaded.",
        "Check for the feature before it is used (bpf_core_...), or build for this kernel.",
        telling.usual,
    ),
    form(
        r"cannot call GPL-restricted function from non-GPL compatible program",
        "permissions",
        "The function called is only for programs under a licence compatible with the GPL.",
        "The object declares another licence, or none.",
        'Declare char LICENSE[] SEC("license") = "GPL"; if that is its licence.',
        telling.usual,
    ),
    form(
        r"helper call might sleep in a non-sleepable prog|"
        r"program must be sleepable to call sleepable kfunc (?P<kfunc>\w+)",
        "permissions",
        "A function that may sleep is called by a program that must not.",
        "Only sleepable programs may wait for memory or locks.",
        'Use a sleepable section (SEC("fentry.s/..."), SEC("lsm.s/..."), SEC("syscall")), or a function that does '
        "not sleep.",
        telling.usual,
    ),
    form(
        r"helper access to the packet is not allowed",
        "arguments",
        "A pointer into the packet is passed to a helper that does not take one.",
        "Only some helpers read packets directly.",
        "Copy the bytes to a local variable first, and pass its address.",
        telling.usual,
    ),
    form(
        rf"{REGISTER} type=(?P<type>\w+) expected=(?P<expected>.*)",
        "arguments",
        "Argument {register} is of kind {type}; the function takes: {expected}.",
        "The prototype fixes what each argument must point to.",
        "Pass a pointer of that kind: copy data to a local variable first, or check for null what may be null.",
        tales_calls.argument,
    ),
    form(
        r"cannot pass map_type \d+ into func (?P<helper>\w+)#\d+|expected prog array map for tail call",
        "maps",
        "The call does not take maps of this type.",
        "Some maps are for certain helpers only, and some helpers for certain maps.",
        "Use the helper made for this map type, or a map of another type.",
        tales_calls.map_type,
    ),
    form(
        r"invalid map_ptr to access map->(?P<what>key|value)",
        "maps",
        "It is not known which map is meant, so the size of its {what} is not known.",
        "The map argument comes before the {what}, and names one map.",
        "Pass the map itself (&map), or what an outer map's lookup returned.",
        telling.usual,
    ),
    form(
        r"get_local_storage\(\) doesn't support non-zero flags",
        "arguments",
        "bpf_get_local_storage() is called with flags.",
        "There are none.",
        "Pass 0.",
        tales_calls.flags,
    ),
    form(
        r"Caller passes invalid args into func#(?P<number>\d+) \('(?P<function>\w+)'\)",
        "arguments",
        "The global function {function}() gets an argument that it does not declare.",
        "A global function is verified on its own, for any arguments of its declared types; calls are held to them.",
        "Pass the declared type (check pointers for null, give memory its full size), tag parameters "
        "(__arg_ctx, __arg_nonnull, __arg_nullable), or make the function static.",
        tales_calls.global_call,
    ),
    form(
        r"(?P<helper>\w+)\(\) may write into memory pointed by R(?P<register>\d+) type=(?P<type>\w+)",
        "permissions",
        "{helper}() would write to memory of the kind {type}.",
        "A kernel object is not a program's buffer.",
        "Pass a local variable or a map value to be filled in.",
        tales_calls.argument,
    ),
    form(
        r"\w+ is only allowed in functions that return 'int'\.|\w+ is not allowed in subprogs without BTF|"
        r"BPF_LD_\[ABS\|IND\] instructions not allowed .*|"
        r"at the time of BPF_LD_ABS\|IND R6 != pointer to skb",
        "packet",
        "An old packet load is used where it cannot be.",
        "BPF_LD_ABS and BPF_LD_IND end the program when they miss, take the context in r6, and exist for socket "
        "filters and tc alone.",
        "Use bpf_skb_load_bytes(), or direct packet access.",
    ),
    form(
        r"pointer in R(?P<register>\d+) isn't map pointer|arg#(?P<argument>\d+) doesn't point to a map value",
        "arguments",
        "The call gets a pointer that is no map, or none into a map's value.",
        "It works on a field in a map's value, and on that map.",
        "Pass &map, and the address of the field in a value that was looked up.",
        tales_calls.argument,
    ),
)
