"""How all tests run: property tests draw the same examples each time, so that a green run stays green.

``SKEP_EXPLORE=1`` lets them draw new ones, which is how bugs are looked for.
"""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("same", derandomize=True, deadline=None, database=None)
settings.register_profile("explore", deadline=None)
settings.load_profile("explore" if os.environ.get("SKEP_EXPLORE") else "same")
