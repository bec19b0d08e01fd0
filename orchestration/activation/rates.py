"""How fast an account may be called: at most so many requests in any second and any minute."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

SECOND, MINUTE = 1.05, 60.5
"""A little longer than they are: requests that leave in time may arrive closer to each other."""


@dataclass(frozen=True)
class Limits:
    """Most requests within any second and any minute; None does not limit."""

    per_second: int | None = None
    per_minute: int | None = None


class Limiter:
    """Lets requests of one endpoint begin no faster than its limits allow, in any thread."""

    def __init__(
        self,
        limits: Limits,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        both = ((limits.per_second, SECOND), (limits.per_minute, MINUTE))
        self._windows = [
            (most, length, deque[float](maxlen=most)) for most, length in both if most is not None
        ]
        self._clock = clock
        self._sleep = sleep
        self._not_before = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Return when the next request may begin; it counts from then on."""
        while (seconds := self._take()) > 0:
            self._sleep(seconds)

    def pause(self, seconds: float) -> None:
        """Let nothing begin for so long: the destination asked for it."""
        with self._lock:
            self._not_before = max(self._not_before, self._clock() + seconds)

    def _take(self) -> float:
        """Count a request that begins now, or tell how many seconds it has to wait."""
        with self._lock:
            now = self._clock()
            free_at = max(
                self._not_before,
                *(begun[0] + length for most, length, begun in self._windows if len(begun) == most),
                0.0,
            )
            if free_at > now:
                return free_at - now
            for _, _, begun in self._windows:
                begun.append(now)
            return 0.0
