"""What led to a rejection: the program is followed once more with its path recorded, and the path is explained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from skep.objects.spec import ProgramSpec
from skep.verifier.answers.listing import Listing
from skep.verifier.explaining.case import Case
from skep.verifier.explaining.explanation import Explanation, explain
from skep.verifier.explaining.origin import Trail
from skep.verifier.explaining.path import Moment, PathRecorder
from skep.verifier.explaining.story import Story
from skep.verifier.paths.exploration import Explorer
from skep.verifier.paths.observer import Observer
from skep.verifier.rejection import Rejection

#: A rejection that took more instructions than this is explained without its path.
_LONGEST: Final = 400_000

#: Follows the program again, with a watcher; what it raises is known already.
Again = Callable[[Observer], Explorer | None]


def investigate(
    rejection: Rejection, spec: ProgramSpec, slot: int | None, explorer: Explorer | None, on_path: bool, again: Again
) -> Explanation:
    """The explanation of ``rejection`` at ``slot``; ``on_path`` says that a path led there."""
    visits = () if explorer is None else tuple(explorer.visits)
    facts = dict(rejection.facts)
    if explorer is not None:
        facts.setdefault("depths", tuple(explorer.deepest))
    listing = Listing(spec)
    case = Case(rejection.message, rejection.preceding, {}, spec, listing, None, slot, visits, facts)
    of_one_path = on_path and "too large" not in rejection.message and "too complex" not in rejection.message
    if not of_one_path or explorer is None or slot is None or explorer.processed > _LONGEST:
        return explain(case)
    try:
        return explain(replace(case, story=_story(spec, slot, listing, again)))
    except Exception:
        # Whatever may be wrong with telling the path, the verdict stands.
        return explain(case)


def _story(spec: ProgramSpec, slot: int, listing: Listing, again: Again) -> Story | None:
    recorder = PathRecorder()
    explorer = again(recorder)
    moments = recorder.moments
    if explorer is not None and (not moments or moments[-1].index != slot) and explorer.index == slot:
        # Refused before the instruction was followed, as endless loops are.
        moments.append(Moment(slot, explorer.state, 0))
    if not moments or moments[-1].index != slot:
        return None
    return Story(Trail(moments, spec.instructions, whole=recorder.whole), listing)
