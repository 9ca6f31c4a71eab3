"""Loads from sockets: the fields of ``struct bpf_sock``, ``bpf_tcp_sock`` and ``bpf_xdp_sock`` that may be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skep.verifier.contexts.context_tables import SOCKETS
from skep.verifier.rejection import Rejection
from skep.verifier.states.register import Register

if TYPE_CHECKING:
    from skep.verifier.paths.exploration import Explorer
    from skep.verifier.steps.accesses import Access


def socket_access(explorer: Explorer, access: Access) -> Register | None:
    """Refuse a load that no field of the socket permits; sockets are never written."""
    pointer = access.pointer
    name = pointer.type_name
    if access.is_store:
        raise Rejection(f"R{access.index} cannot write into {name}", register=access.index)
    offset = access.offset + pointer.offset
    if pointer.scalar.smin < 0:
        raise Rejection(
            f"R{access.index} min value is negative, either use unsigned index or do a if (index >=0) check.",
            register=access.index,
        )
    if not SOCKETS[pointer.kind].permits(offset, access.size, store=False):
        raise Rejection(
            f"R{access.index} invalid {name} access off={offset} size={access.size}",
            register=access.index,
            offset=offset,
            size=access.size,
        )
    return None
