"""The rules of the ranking. The arithmetic itself is one SQL statement in `store.py`.

A person counts once per track however often it is posted, by the latest time; the weight halves
every one and a half days or so. What somebody floods within an hour beyond the cap does not count.
"""

from datetime import timedelta
from typing import Literal

WINDOW: Literal["week"] = "week"
WINDOW_LENGTH = timedelta(days=7)
DECAY_SECONDS = 48 * 3_600
"""The age at which a share weighs 1/e."""
REACTION_WEIGHT = 0.1
"""A reacting listener next to a sharing one. The sharer's own reactions weigh nothing."""
SHARES_PER_USER_HOUR_MAX = 10
REACTIONS_PER_USER_HOUR_MAX = 30
ENTRIES_MAX = 50
