"""Which requests for a reward are granted: decided once, written once, never derived again.

A request is decided on the marts of the latest build that succeeded as a whole, and the decision
stands at that build's instant. What was granted since that build is already spent for whoever asks
next: requests of one tenant are decided one after the other, in whatever process.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy

from orchestration.activation.codes import new_code
from orchestration.activation.gate import require_success
from orchestration.settings import Settings
from orchestration.warehouse.builds import Build, hold_still
from orchestration.warehouse.database import engine

CODE_GROUPS = 3
REASONS = (
    "unknown_customer",
    "unknown_or_inactive_reward",
    "outside_dates",
    "insufficient_points",
    "tier_too_low",
    "too_few_orders",
    "personal_limit_reached",
    "sold_out",
)
"""Why a request is refused; the first that holds is given."""


@dataclass(frozen=True)
class Request:
    """Somebody asks for a reward; `customer_id` is None when nobody has the e-mail or phone."""

    request_id: str
    customer_id: str | None
    reward_id: str
    requested_at: datetime


@dataclass(frozen=True)
class Reward:
    """What a reward costs and who may have it; None does not ask or limit."""

    reward_id: str
    points_cost: int
    reward_type: str
    min_tier_order: int | None = None
    min_orders: int | None = None
    redemption_limit: int | None = None
    total_available: int | None = None
    is_active: bool = True
    starts_at: datetime | None = None
    ends_at: datetime | None = None

    @property
    def movement_type(self) -> str:
        """How the ledger names spending on it."""
        return "redeem_product" if self.reward_type == "free_product" else "redeem_discount"


@dataclass(frozen=True)
class Member:
    """What a customer has to offer; the defaults are those of somebody who is no member."""

    points: int = 0
    tier_order: int | None = None
    orders: int = 0


@dataclass
class Taken:
    """What earlier acceptances took: pieces per reward, and per customer and reward."""

    pieces: Counter[str] = field(default_factory=Counter)
    personal: Counter[tuple[str, str]] = field(default_factory=Counter)
    points: Counter[str] = field(default_factory=Counter)
    """Points that the members' balances do not lack yet."""


@dataclass(frozen=True)
class Decision:
    """Granted when there is no reason against it."""

    request: Request
    reward: Reward | None
    reason: str | None


@dataclass(frozen=True)
class RedemptionReport:
    """How many requests were granted, and how many refused for each reason."""

    accepted: int
    refused: Mapping[str, int]


def decide(
    requests: Iterable[Request],
    rewards: Mapping[str, Reward],
    members: Mapping[str, Member],
    taken: Taken,
) -> list[Decision]:
    """Decide the requests in the order given; each acceptance counts for those after it."""
    decisions = []
    for request in requests:
        reward = rewards.get(request.reward_id)
        reason = _reason_against(request, reward, members, taken)
        decisions.append(Decision(request, reward, reason))
        if reason is None and reward is not None and request.customer_id is not None:
            taken.pieces[reward.reward_id] += 1
            taken.personal[request.customer_id, reward.reward_id] += 1
            taken.points[request.customer_id] += reward.points_cost
    return decisions


def _reason_against(
    request: Request, reward: Reward | None, members: Mapping[str, Member], taken: Taken
) -> str | None:
    """The first of `REASONS` that holds. Dates are those of the request, the rest is as of now."""
    customer_id = request.customer_id
    if customer_id is None:
        return "unknown_customer"
    if reward is None or not reward.is_active:
        return "unknown_or_inactive_reward"
    if (reward.starts_at and request.requested_at < reward.starts_at) or (
        reward.ends_at and request.requested_at >= reward.ends_at
    ):
        return "outside_dates"
    member = members.get(customer_id, Member())
    if member.points - taken.points[customer_id] < reward.points_cost:
        return "insufficient_points"
    if reward.min_tier_order is not None and (
        member.tier_order is None or member.tier_order < reward.min_tier_order
    ):
        return "tier_too_low"
    if reward.min_orders is not None and member.orders < reward.min_orders:
        return "too_few_orders"
    had = taken.personal[customer_id, reward.reward_id]
    if reward.redemption_limit is not None and had >= reward.redemption_limit:
        return "personal_limit_reached"
    if (
        reward.total_available is not None
        and taken.pieces[reward.reward_id] >= reward.total_available
    ):
        return "sold_out"
    return None


def decide_redemptions(
    settings: Settings, only: Sequence[str] | None = None, *, within_build: bool = False
) -> RedemptionReport:
    """Decide the open requests that the latest build knows, a transaction per tenant.

    Args:
        settings: where the warehouse is.
        only: ids of the requests to decide; all that are open by default.
        within_build: the caller is the build itself, whose marts are settled.

    Raises:
        GateClosed: the latest build did not succeed as a whole.
        BuildRunning: a build is changing the marts.
    """
    database = engine(settings)
    counts: Counter[str | None] = Counter()
    try:
        with database.connect() as connection:
            require_success(connection)
            tenants = connection.scalars(_TENANTS).all()
        for tenant_id in tenants:
            with database.begin() as connection:
                connection.exec_driver_sql("set local synchronous_commit = on")
                if not within_build:
                    hold_still(connection)
                build = require_success(connection)
                counts.update(
                    decision.reason for decision in _decide(connection, build, tenant_id, only)
                )
    finally:
        database.dispose()
    refused = {reason: counts[reason] for reason in REASONS if counts[reason]}
    return RedemptionReport(counts[None], refused)


def _decide(
    connection: sqlalchemy.Connection, build: Build, tenant_id: str, only: Sequence[str] | None
) -> list[Decision]:
    """Decide one tenant's requests; nobody else decides for this tenant until the end."""
    connection.execute(
        sqlalchemy.text("select pg_advisory_xact_lock(hashtextextended(:name, 0))"),
        {"name": f"redemptions of {tenant_id}"},
    )
    values: dict[str, Any] = {
        "tenant_id": tenant_id,
        "only": list(only) if only is not None else None,
    }
    requests = [Request(**row) for row in connection.execute(_REQUESTS, values).mappings()]
    if not requests:
        return []
    values["customers"] = [one.customer_id for one in requests if one.customer_id]
    offered = [Reward(**row) for row in connection.execute(_REWARDS, values).mappings()]
    rewards = {reward.reward_id: reward for reward in offered}
    members = {
        row.customer_id: Member(row.points_balance, row.tier_order, row.total_orders)
        for row in connection.execute(_MEMBERS, values)
    }
    taken = Taken()
    for row in connection.execute(_TAKEN, values):
        taken.pieces[row.reward_id] += row.pieces
        taken.personal[row.customer_id, row.reward_id] += row.pieces
        taken.points[row.customer_id] += row.points
    days: int = connection.execute(_EXPIRY_DAYS, values).scalar_one()
    decisions = decide(requests, rewards, members, taken)
    rows = [_row(decision, build, tenant_id, timedelta(days=int(days))) for decision in decisions]
    connection.execute(_INSERT, rows)
    return decisions


def _row(decision: Decision, build: Build, tenant_id: str, lasting: timedelta) -> dict[str, Any]:
    granted = decision.reward if decision.reason is None else None
    return {
        "tenant_id": tenant_id,
        "request_id": decision.request.request_id,
        "customer_id": decision.request.customer_id,
        "reward_id": decision.request.reward_id,
        "decision": "accepted" if granted else "refused",
        "reason": decision.reason,
        "movement_type": granted.movement_type if granted else None,
        "points": granted.points_cost if granted else None,
        "code": new_code(CODE_GROUPS) if granted else None,
        "decided_at": build.as_of,
        "expires_at": build.as_of + lasting if granted else None,
        "build_id": build.build_id,
        "created_at": datetime.now(UTC),
    }


_TENANTS = sqlalchemy.text("select tenant_id from seeds.tenants order by tenant_id")
_REQUESTS = sqlalchemy.text(
    """
    select request_id, customer_id, reward_id, requested_at
    from marts.reward_redemptions as requests
    where
        tenant_id = :tenant_id
        and status = 'requested'
        and (cast(:only as text[]) is null or request_id = any(cast(:only as text[])))
        and not exists (
            select 1
            from outbox.redemption_decisions as decisions
            where
                requests.tenant_id = decisions.tenant_id
                and requests.request_id = decisions.request_id
        )
    order by requested_at, request_id
    """
)
_REWARDS = sqlalchemy.text(
    """
    select
        rewards.reward_id,
        rewards.points_cost,
        rewards.reward_type,
        tiers.tier_order as min_tier_order,
        rewards.min_orders,
        rewards.redemption_limit,
        rewards.total_available,
        rewards.is_active,
        rewards.starts_at,
        rewards.ends_at
    from intermediate.int_loyalty__rewards as rewards
    left join intermediate.int_loyalty__tiers as tiers
        on rewards.tenant_id = tiers.tenant_id and rewards.min_tier = tiers.tier
    where rewards.tenant_id = :tenant_id
    """
)
_MEMBERS = sqlalchemy.text(
    """
    select
        accounts.customer_id,
        accounts.points_balance,
        tiers.tier_order,
        accounts.total_orders
    from marts.loyalty_accounts as accounts
    left join intermediate.int_loyalty__tiers as tiers
        on accounts.tenant_id = tiers.tenant_id and accounts.tier = tiers.tier
    where
        accounts.tenant_id = :tenant_id
        and accounts.customer_id = any(cast(:customers as text[]))
    """
)
# whoever has the request now had the reward; the marts lack what they still call requested
_TAKEN = sqlalchemy.text(
    """
    select
        decisions.reward_id,
        coalesce(requests.customer_id, decisions.customer_id) as customer_id,
        count(*) as pieces,
        coalesce(
            sum(decisions.points) filter (where coalesce(requests.status = 'requested', true)), 0
        ) as points
    from outbox.redemption_decisions as decisions
    left join marts.reward_redemptions as requests
        on
            decisions.tenant_id = requests.tenant_id
            and decisions.request_id = requests.request_id
    where
        decisions.tenant_id = :tenant_id
        and decisions.decision = 'accepted'
    group by 1, 2
    """
)
_EXPIRY_DAYS = sqlalchemy.text(
    "select reward_expiry_days from intermediate.int_tenants__settings where tenant_id = :tenant_id"
)
_INSERT = sqlalchemy.text(
    """
    insert into outbox.redemption_decisions (
        tenant_id, request_id, customer_id, reward_id, decision, reason, movement_type, points,
        code, decided_at, expires_at, build_id, created_at
    )
    values (
        :tenant_id, :request_id, :customer_id, :reward_id, :decision, :reason, :movement_type,
        :points, :code, :decided_at, :expires_at, :build_id, :created_at
    )
    """
)
