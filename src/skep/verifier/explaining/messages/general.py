"""A sentence for messages that have no row of their own, by the category that their words show."""

from __future__ import annotations

import re

from skep.verifier.explaining.case import MessageForm, form

_LOOK = "Look at the path that led there, and at the line it ends in; the message is the kernel's own."

#: Words that show what a message is about, the most specific first.
_FORMS = (
    form(
        r".*\b(spin_)?lock.*",
        "locks",
        "A rule of locks is broken.",
        "What happens while a lock is held, and where locks may lie, is limited so that no program can deadlock.",
        _LOOK,
    ),
    form(
        r".*\b(dynptr).*",
        "dynptrs",
        "A dynptr is used in a way that it does not allow.",
        "A dynptr lives in stack slots of its own, is made by one call and used only through others.",
        _LOOK,
    ),
    form(
        r".*\biter.*",
        "iterators",
        "An iterator is used in a way that it does not allow.",
        "An iterator is made by new(), stepped by next() until null, and ended by destroy(), in one stack variable.",
        _LOOK,
    ),
    form(
        r".*\b(kptr|list_head|list_node|rb_root|rb_node|rbtree|refcount|graph).*",
        "objects",
        "A kernel object, list or tree in a map value or allocation is used in a way that it does not allow.",
        "Such fields belong to the helpers and kernel functions made for them.",
        _LOOK,
    ),
    form(
        r".*\b(kfunc|kernel function|btf_id|BTF|STRUCT|struct|trusted|rcu).*",
        "kernel types",
        "What is passed to, or read from, the kernel is not of the type that it has to be.",
        "Pointers to kernel objects are followed by their types, and by whether they are sure to be valid.",
        _LOOK,
    ),
    form(
        r".*\b(R\d+|arg ?#?\d+|register|pointer|ptr)\b.*",
        "arguments",
        "What a register holds here is not what the instruction needs.",
        "Each instruction and call fixes what its operands may be.",
        _LOOK,
    ),
    form(
        r".*\b(map|fd)\b.*",
        "maps",
        "A map does not fit what the program does with it.",
        "Type, size and flags of a map decide what may be done with it.",
        _LOOK,
    ),
)

_OWN = form(
    r"verifier bug: .*",
    "kernel",
    "Linux stops with a remark that it has made a mistake itself.",
    "Its verifier gets into a state that it does not expect; newer kernels may say something else.",
    "Write the code at fault in another way; the path that led there shows what it is.",
)

_LAST = form(
    r".*",
    "program",
    "The program breaks a rule of the kernel that the message names.",
    "Every path has to keep every rule, whatever the input is.",
    _LOOK,
)


def general(message: str) -> MessageForm:
    """The row by what a message speaks of."""
    return next((row for row in (_OWN, *_FORMS) if re.fullmatch(row.pattern, message)), _LAST)
