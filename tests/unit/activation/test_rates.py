"""How fast requests may begin."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orchestration.activation.rates import Limiter, Limits


class Clock:
    """Time that passes only when somebody waits."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


def begin(limits: Limits, pauses: list[float]) -> list[float]:
    """When requests begin that come after such pauses."""
    clock = Clock()
    limiter = Limiter(limits, clock, clock.sleep)
    begun = []
    for pause in pauses:
        clock.now += pause
        limiter.wait()
        begun.append(clock.now)
    return begun


@given(
    st.integers(1, 5),
    st.integers(1, 12),
    st.lists(st.floats(0, 20), min_size=1, max_size=60),
)
def test_no_window_ever_holds_more_than_is_allowed(
    per_second: int, per_minute: int, pauses: list[float]
) -> None:
    """Prevents: an account that is locked because its two windows are counted as one."""
    begun = begin(Limits(per_second, per_minute), pauses)
    for start in begun:
        assert sum(start <= at < start + 1 for at in begun) <= per_second
        assert sum(start <= at < start + 60 for at in begun) <= per_minute


def test_what_is_allowed_is_used() -> None:
    """Prevents: a limiter so careful that a delivery takes twice its time."""
    begun = begin(Limits(10, 150), [0.0] * 1_500)
    minutes = (begun[-1] - begun[0]) / 60
    assert 1_500 / minutes >= 0.95 * 150


def test_nothing_begins_during_a_pause_that_the_destination_asked_for() -> None:
    """Prevents: requests of other threads while one obeys Retry-After."""
    clock = Clock()
    limiter = Limiter(Limits(), clock, clock.sleep)
    limiter.wait()
    limiter.pause(30)
    limiter.pause(5)
    limiter.wait()
    assert clock.now == 1_030
