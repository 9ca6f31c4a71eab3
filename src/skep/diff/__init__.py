"""The same program on every engine: do they show the same, and if not, what is the least that tells?"""

from skep.diff.comparison import ENGINES, Options, Outcome, compare
from skep.diff.observation import Difference, Ending, Observation
from skep.diff.verdicts import Verdict

__all__ = ["ENGINES", "Difference", "Ending", "Observation", "Options", "Outcome", "Verdict", "compare"]
