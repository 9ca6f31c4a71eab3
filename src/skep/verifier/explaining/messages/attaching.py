"""What programs are attached to: functions of the kernel, security hooks, functions of other programs."""

from __future__ import annotations

from skep.verifier.explaining import tales_values
from skep.verifier.explaining.case import MessageForm, form

FORMS: tuple[MessageForm, ...] = (
    form(
        r"(?P<ops>attach to (?:unsupported|invalid) member (?P<member>.+) of struct (?P<type>\w+))|"
        r"(?:struct ops|LSM) programs must have a GPL compatible license",
        "program types",
        "The program does not fit what it is to be attached to.",
        "Programs can implement some members of a struct_ops structure only; those and LSM programs are under a "
        "licence compatible with the GPL.",
        "Leave out this member, or declare the licence.",
    ),
    form(
        r"attach_btf_id (?P<id>\d+) is not a supported struct",
        "program types",
        "The structure that the program is a member of is no table of programs in this kernel.",
        "Which tables of functions programs may fill in depends on how the kernel was built (CONFIG_NET_SCH_BPF, "
        "CONFIG_SCHED_CLASS_EXT, CONFIG_HID_BPF).",
        "Run it on a kernel with that option; to see what such a kernel says, name its types: --btf distribution "
        "stands for those of one.",
    ),
    form(
        r"attach_btf_id (?P<id>\d+) points to (?:disabled hook|wrong type name) (?P<hook>\w+)",
        "program types",
        "{hook} takes no programs.",
        "Some security hooks hand over things that programs could not use safely, or are asked for an answer that "
        "programs cannot give; other functions only have names like theirs.",
        "Attach to another hook on the same way through the kernel.",
    ),
    form(
        r"Attaching (?:tracing programs to|fexit/fmod_ret to __noreturn) function '(?P<function>\w+)' is rejected\.",
        "program types",
        "Nothing may be attached there to {function}().",
        "Programs run through some functions themselves, and nothing runs behind one that never returns.",
        "Attach to a function that calls it or, where it only never returns, with fentry.",
    ),
    form(
        r"programs of type (?P<type>\w+) cannot be loaded with attach type (?P<attach>\w+)",
        "program types",
        "The kernel loads no {type} program as {attach}; it says nothing but EINVAL.",
        "What a program of this type may do depends on where it is attached, so that has to be said and to fit.",
        "Use the section name that libbpf has for the place where it is to be attached.",
    ),
    form(
        r"Only fentry/fexit/fmod_ret, lsm, iter, uprobe, and struct_ops programs can be sleepable",
        "program types",
        "A program of this type cannot be sleepable.",
        "It runs where nothing may sleep.",
        "Use the section name without .s.",
    ),
    form(
        r"(?P<function>\w+) is not sleepable",
        "program types",
        "Nothing may sleep where {function}() is called.",
        "A sleepable program waits for memory to be read in. It goes before security hooks that are called where "
        "waiting is permitted, and before functions that the kernel lets fail for tests, if it was built to.",
        "Use the section name without .s, or attach with lsm.s to a hook that may sleep, as file_open or "
        "bprm_creds_for_exec.",
    ),
    form(
        r"(?P<function>\w+)\(\) is not modifiable",
        "program types",
        "No program may change what {function}() returns.",
        "fmod_ret is for the security_ functions, whose callers expect to be refused, and for functions that the "
        "kernel lets fail for tests, if it was built to.",
        "Attach to a security_ function on the way, or use fexit, which sees the result and leaves it alone.",
    ),
    form(
        r"The address of function (?P<function>\w+) cannot be found",
        "program types",
        "The kernel's types name {function}(), and its code does not have it.",
        "The compiler built it into its callers, or gave it another name, as with .isra or .constprop behind it.",
        "Attach to a function that calls it, or that it calls.",
    ),
    form(
        r"The function (?P<function>\w+) (?:has \d+ arguments\. Too many\.|return type \w+ is unsupported\.|"
        r"arg\d+ type \w+ is unsupported\.|with variable args is unsupported\.|has malformed void argument\.)",
        "program types",
        "What {function}() takes or returns cannot be kept for a program.",
        "A function that programs attach to has twelve arguments at most, which are numbers, pointers or structures "
        "of at most 16 bytes, always as many; and returns a number, a pointer or nothing.",
        "Attach to a function that calls it, or that it calls; a kprobe does without the types.",
    ),
    form(
        r"Subprog (?P<function>\w+) doesn't exist",
        "other programs",
        "The program that is named has no function {function}() in its code.",
        "Its types know it, but no instruction of it was left: it is never called, or was built into its callers.",
        "Call it, and declare it __noinline without static.",
    ),
    form(
        r"Cannot replace static functions|(?P<function>\w+)\(\) is not a global function",
        "other programs",
        "Only global functions can be replaced, and programs whose types say what they are given.",
        "A static function is verified together with its callers, so that they rely on what it does. A program "
        "without the type of its context, as one that takes void *ctx, does not say what a replacement is given.",
        "Declare the function __noinline without static, or the context by its type, as struct xdp_md *ctx.",
    ),
    form(
        r"Extension program (?:changes packet data|may sleep), while original does not",
        "other programs",
        "The replacement does what callers of the original do not expect.",
        "They were verified with a function that leaves the packet where it is and does not wait: they keep pointers "
        "into the packet across the call.",
        "Let the original do it too, if only on a way that is never taken.",
    ),
    form(
        r"(?P<name>\w+)\(\) has (?P<mine>\d+) args while (?P<function>\w+)\(\) has (?P<theirs>\d+) args",
        "other programs",
        "{name}() takes {mine} arguments, {function}(), which it is to replace, {theirs}.",
        "Who calls the original passes what that takes.",
        "Give the replacement the parameters of the original.",
    ),
    form(
        r"Return type \w+ of (?P<name>\w+)\(\) doesn't match type \w+ of (?P<function>\w+)\(\)|"
        r"arg(?P<argument>\d+) in \w+\(\) (?:is \w+ while|has size \d+ while) \w+\(\) has \w+|"
        r"arg\d+ \w+\(struct \w* \*\) doesn't match \w+\(struct \w* \*\)|"
        r"Unrecognized type of arg\d+ in \w+\(\)",
        "other programs",
        "The replacement does not take and return what the original does.",
        "Numbers have to be of the same size, pointers to structures of the same name, and enumerations are no "
        "numbers.",
        "Give the replacement the parameters and the result of the original.",
    ),
    form(
        r"arg(?P<argument>\d+) in (?P<function>\w+)\(\) is not a pointer to context",
        "other programs",
        "Parameter {argument} of {function}() points to no structure.",
        "Functions that are replaced, and what replaces them, take numbers and pointers to structures only.",
        "Put what it points to into a structure, in both programs.",
    ),
    form(
        r"Cannot (?:recursively attach|extend fentry/fexit|nest tracing program attach more than once)",
        "other programs",
        "What the program is attached to is itself attached to a program.",
        "Programs that replace or watch each other could call each other for ever.",
        "Attach to the program at the beginning of the chain.",
    ),
    form(
        r"(?:Extension|FENTRY/FEXIT) programs cannot attach to exception callback",
        "other programs",
        "The function handles the exceptions of its program.",
        "It runs when the stack has been unwound, where nothing else may come between.",
        "Attach to a function that it calls.",
    ),
    form(
        r"can't modify return codes of BPF programs",
        "other programs",
        "fmod_ret is for functions of the kernel.",
        "What a function of another program returns is changed by replacing it.",
        'Replace it, with SEC("freplace/…"), or watch it with fexit.',
    ),
    form(
        r"Only FENTRY/FEXIT progs are attachable to another BPF prog|"
        r"only programs of types ext and tracing can name another program|programs of iterators cannot be extended",
        "other programs",
        "The program is not one that can be attached to this other program.",
        "Functions of other programs are replaced with freplace and watched with fentry and fexit; those of "
        "iterators cannot be replaced.",
        'Use SEC("freplace/…"), SEC("fentry/…") or SEC("fexit/…").',
    ),
    form(
        r"Note, BPF_LSM_CGROUP that attach to void LSM hooks can't modify return value!",
        "return value",
        "A program at a hook that returns nothing has to return 1.",
        "1 lets the kernel go on, and there is nothing that another value could refuse.",
        "End with return 1.",
        tales_values.return_value,
    ),
    form(
        r"BPF_LSM_CGROUP that attach to void LSM hooks can't modify return value!",
        "permissions",
        "bpf_set_retval() is called at a hook that returns nothing.",
        "There is no result that it could set.",
        "Leave the call out.",
    ),
    form(
        r"Type '(?P<type>.+)' is not a struct",
        "kernel objects",
        "The pointer is to {type}, which the program cannot read.",
        "Through pointers to the kernel only structures are read.",
        "Read it with bpf_probe_read_kernel().",
    ),
)
