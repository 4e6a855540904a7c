"""How many replicas a deployment needs: from the rate at which it is asked, and from who has to wait."""

from __future__ import annotations

import math

from qstore_appliance.domain.models import Scaling

#: The rate is that of about the last so many seconds.
RATE_SECONDS = 5.0
#: Who waits longer calls for one more replica, whatever the rate.
WAIT_SECONDS = 0.25
#: One that is not needed goes after so long: the next burst often comes soon.
DOWN_SECONDS = 30.0


class Scaler:
    """One deployment's. Times are those of a clock that only goes forward."""

    def __init__(self, scaling: Scaling) -> None:
        self.scaling = scaling
        #: Questions in a second, lately.
        self.rate = 0.0
        self._asked = 0
        self._at: float | None = None
        self._enough_since: float | None = None

    def wanted(self, now: float, *, asked: int, longest_wait: float, size: int) -> int:
        """
        Replicas that shall run from now on.

        Args:
            asked: Questions since the beginning.
            longest_wait: Seconds that the first in the line waits already.
            size: Replicas that run or start.
        """
        if self._at is not None and now > self._at:
            seconds = now - self._at
            share = 1 - math.exp(-seconds / RATE_SECONDS)
            self.rate += share * ((asked - self._asked) / seconds - self.rate)
        self._asked, self._at = asked, now
        needed = math.ceil(self.rate / self.scaling.target_qps)
        if longest_wait > WAIT_SECONDS:
            needed = max(needed, size + 1)
        needed = min(self.scaling.most, max(self.scaling.least, needed))
        if needed >= size:
            self._enough_since = None
            return needed
        if self._enough_since is None:
            self._enough_since = now
        if now - self._enough_since < DOWN_SECONDS:
            return size
        # One after the other, each after a wait of its own.
        self._enough_since = now
        return size - 1
