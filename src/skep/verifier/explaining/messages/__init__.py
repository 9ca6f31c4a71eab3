"""What each form of the kernel's messages means, as tables: one module a subject, one row a form."""

from skep.verifier.explaining.case import MessageForm
from skep.verifier.explaining.messages.attaching import FORMS as _ATTACHING
from skep.verifier.explaining.messages.calls import FORMS as _CALLS
from skep.verifier.explaining.messages.functions import FORMS as _FUNCTIONS
from skep.verifier.explaining.messages.held import FORMS as _HELD
from skep.verifier.explaining.messages.kernel_objects import FORMS as _KERNEL_OBJECTS
from skep.verifier.explaining.messages.kfuncs import FORMS as _KFUNCS
from skep.verifier.explaining.messages.memory import FORMS as _MEMORY
from skep.verifier.explaining.messages.pointers import FORMS as _POINTERS
from skep.verifier.explaining.messages.special_fields import FORMS as _SPECIAL_FIELDS
from skep.verifier.explaining.messages.structure import FORMS as _STRUCTURE

#: In the order in which they are tried.
FORMS: tuple[MessageForm, ...] = (
    *_MEMORY,
    *_POINTERS,
    *_HELD,
    *_SPECIAL_FIELDS,
    *_KERNEL_OBJECTS,
    *_KFUNCS,
    *_FUNCTIONS,
    *_ATTACHING,
    *_CALLS,
    *_STRUCTURE,
)

__all__ = ["FORMS"]
