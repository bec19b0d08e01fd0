"""Who gets a reward: every reason to refuse, on both sides of its boundary."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from orchestration.activation.redemptions import (
    REASONS,
    Member,
    Request,
    Reward,
    Taken,
    decide,
)

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)
ASKED = Request("r1", "ada", "mug", NOON)
MUG = Reward("mug", 100, "free_product")
ADA = Member(points=100, tier_order=2, orders=3)


def reason(request: Request, reward: Reward, member: Member, taken: Taken | None = None) -> object:
    """Why the request is refused, or None."""
    (decision,) = decide([request], {reward.reward_id: reward}, {"ada": member}, taken or Taken())
    return decision.reason


@pytest.mark.parametrize(
    ("refused", "granted", "words"),
    [
        ((replace(ASKED, customer_id=None), MUG, ADA), (ASKED, MUG, ADA), "unknown_customer"),
        (
            (replace(ASKED, reward_id="cup"), MUG, ADA),
            (ASKED, MUG, ADA),
            "unknown_or_inactive_reward",
        ),
        (
            (ASKED, replace(MUG, is_active=False), ADA),
            (ASKED, MUG, ADA),
            "unknown_or_inactive_reward",
        ),
        (
            (ASKED, replace(MUG, starts_at=NOON + TICK), ADA),
            (ASKED, replace(MUG, starts_at=NOON), ADA),
            "outside_dates",
        ),
        (
            (ASKED, replace(MUG, ends_at=NOON), ADA),
            (ASKED, replace(MUG, ends_at=NOON + TICK), ADA),
            "outside_dates",
        ),
        ((ASKED, MUG, replace(ADA, points=99)), (ASKED, MUG, ADA), "insufficient_points"),
        (
            (ASKED, replace(MUG, min_tier_order=3), ADA),
            (ASKED, replace(MUG, min_tier_order=2), ADA),
            "tier_too_low",
        ),
        (
            (ASKED, replace(MUG, min_tier_order=2), replace(ADA, tier_order=None)),
            (ASKED, replace(MUG, min_tier_order=2), replace(ADA, tier_order=4)),
            "tier_too_low",
        ),
        (
            (ASKED, replace(MUG, min_orders=4), ADA),
            (ASKED, replace(MUG, min_orders=3), ADA),
            "too_few_orders",
        ),
    ],
)
def test_each_reason_has_its_boundary(
    refused: tuple[Request, Reward, Member], granted: tuple[Request, Reward, Member], words: str
) -> None:
    """Prevents a limit that is off by one: a point, an order, a tier or an instant."""
    assert reason(*refused) == words
    assert reason(*granted) is None


def test_who_is_no_member_has_no_points() -> None:
    """Prevents a reward for a customer who never earned anything."""
    (decision,) = decide([ASKED], {"mug": MUG}, {}, Taken())
    assert decision.reason == "insufficient_points"


def test_limits_count_what_was_granted_before_and_just_now() -> None:
    """Prevents a second piece for one person, or an eleventh of ten, within one run."""
    again = [replace(ASKED, request_id=f"r{number}") for number in range(3)]
    rich = {"ada": replace(ADA, points=1_000)}
    limited = {"mug": replace(MUG, redemption_limit=2)}
    assert [one.reason for one in decide(again, limited, rich, Taken())] == [
        None,
        None,
        "personal_limit_reached",
    ]
    taken = Taken()
    taken.personal["ada", "mug"] = 1
    assert decide(again, limited, rich, taken)[1].reason == "personal_limit_reached"
    taken = Taken()
    taken.pieces["mug"] = 8
    scarce = {"mug": replace(MUG, total_available=10)}
    assert [one.reason for one in decide(again, scarce, rich, taken)] == [None, None, "sold_out"]


def test_points_are_spent_once() -> None:
    """Prevents two rewards for the points of one, asked for together or one build apart."""
    again = [ASKED, replace(ASKED, request_id="r2")]
    almost = {"ada": replace(ADA, points=199)}
    enough = {"ada": replace(ADA, points=200)}
    assert [one.reason for one in decide(again, {"mug": MUG}, almost, Taken())] == [
        None,
        "insufficient_points",
    ]
    assert [one.reason for one in decide(again, {"mug": MUG}, enough, Taken())] == [None, None]
    taken = Taken()
    taken.points["ada"] = 1
    assert decide([ASKED], {"mug": MUG}, {"ada": ADA}, taken)[0].reason == "insufficient_points"


def test_the_first_reason_is_given() -> None:
    """Prevents a refusal that tells people to mend what would not help them."""
    wrong = replace(
        MUG,
        is_active=False,
        starts_at=NOON + TICK,
        min_tier_order=9,
        min_orders=9,
        redemption_limit=1,
        total_available=1,
    )
    taken = Taken()
    taken.pieces["mug"] = taken.personal["ada", "mug"] = 1
    poor = Member()
    steps = [
        (replace(ASKED, customer_id=None), wrong, poor),
        (ASKED, wrong, poor),
        (ASKED, wrong := replace(wrong, is_active=True), poor),
        (ASKED, wrong := replace(wrong, starts_at=None), poor),
        (ASKED, wrong, member := Member(points=100)),
        (ASKED, wrong, member := replace(member, tier_order=9)),
        (ASKED, wrong, member := replace(member, orders=9)),
        (ASKED, replace(wrong, redemption_limit=None), member),
    ]
    assert tuple(reason(*step, taken) for step in steps) == REASONS
