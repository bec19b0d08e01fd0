"""B2B clients: what is true of each at an instant, and how that came about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from .identity import Identities
from .records import Record, of_source
from .seeds import Seeds, Tenant
from .stages import DAY, days_between

PROGRESS = ("milestone_reached", "progress_update", "delivery")
RISKS = (
    "low_engagement",
    "late_invoices",
    "negative_sentiment",
    "slow_project_progress",
    "low_feature_usage",
    "high_support_tickets",
)

Rows = dict[tuple[Any, ...], dict[str, Any]]


@dataclass(frozen=True)
class Event:
    at: datetime
    event_id: str
    stage: str
    kind: str
    is_negative: bool
    invoice: str | None


@dataclass(frozen=True)
class Standing:
    """Where a client stands."""

    stage: str
    risks: tuple[str, ...]


@dataclass(frozen=True)
class Advice:
    action: str | None
    reason: str | None
    priority: str


def add_clients(
    tables: Mapping[str, Rows],
    records: list[Record],
    who: Identities,
    tenant: Tenant,
    seeds: Seeds,
    as_of: datetime,
) -> None:
    """The rows of every mart about B2B clients."""
    all_events = of_source(records, "client_journey_events")
    total = known = high = candidates = 0
    scores: list[Decimal] = []
    for contact in of_source(records, "contacts"):
        owner = who.identities.get(("contact", contact.record_id))
        if owner is None:
            continue
        client = contact.record_id
        events = sorted(
            (_event(one) for one in all_events if one.values["client_id"] == client),
            key=lambda event: (event.at, event.event_id),
        )
        spans = _spans(events, contact.first_seen_at, seeds, as_of)
        rating = contact.values.get("ai_score")
        _add_history(tables, client, owner.customer_id, spans, rating, tenant, seeds)
        steps = _add_path(tables, client, owner.customer_id, spans)
        standing = spans[-1][1]
        level = seeds.risk_level(len(standing.risks))
        score = _score(standing, rating, tenant, seeds)
        actions = _actions(standing, seeds)
        tables["client_journey"][client,] = {
            "customer_id": owner.customer_id,
            "stage": standing.stage,
            "stage_since": steps[-1][1],
            "score": score,
            "risk_level": level["risk_level"],
            "next_best_action": actions[0][0] if actions else None,
            "events": len(events),
            "first_event_at": events[0].at if events else None,
            "last_event_at": events[-1].at if events else None,
        }
        tables["client_journey_scores"][client,] = {
            **{f"has_{risk}": risk in standing.risks for risk in RISKS},
            "stage": standing.stage,
            "risk_count": len(standing.risks),
            "risk_factors": ",".join(standing.risks) or None,
            "score": score,
            "risk_level": level["risk_level"],
            "priority": level["priority"],
            "recommended_actions": ",".join(action for action, _ in actions) or None,
            "scored_at": spans[-1][0],
        }
        if actions:
            _add_next_action(tables, client, spans, seeds)
        if level["is_high_risk"] == "true":
            high += 1
            tables["high_risk_clients"][client,] = {"score": score, "scored_at": spans[-1][0]}
        if stays := [step for step in steps if step[0] == "upsell_candidate"]:
            is_current = stays[-1][2] is None
            candidates += is_current
            tables["upsell_candidates"][client,] = {
                "is_current": is_current,
                "spells": len(stays),
                "first_became_at": stays[0][1],
                "last_became_at": stays[-1][1],
            }
        total, known = total + 1, known + len(events)
        scores.append(score)
    tables["client_journey_overview"][()] = {
        "clients": total,
        "high_risk_clients": high,
        "upsell_candidates": candidates,
        "events": known,
        "events_of_unknown_clients": len(all_events) - known,
    }


def standing_at(events: Iterable[Event], seeds: Seeds, at: datetime) -> Standing:
    """Stage and risks at an instant; the events are in their order."""
    past = [event for event in events if event.at <= at]
    stage = past[-1].stage if past else "lead"
    number = seeds.risk_number

    def recent(risk: str, kind: str | None = None) -> int:
        """Events younger than the window of a risk."""
        span = number(risk, "window_days") * DAY
        return sum(1 for one in past if at - one.at < span and kind in (None, one.kind))

    last = past[-number("negative_sentiment", "window_events") :]
    order = seeds.client_stage_order()
    applies = {
        "low_engagement": recent("low_engagement") < number("low_engagement", "event_count"),
        "late_invoices": any(
            one.kind == "invoice_overdue"
            and one.stage == "billing"
            and not any(_settles(one, later) for later in past[place + 1 :])
            for place, one in enumerate(past)
        ),
        "negative_sentiment": sum(one.is_negative for one in last)
        >= number("negative_sentiment", "event_count"),
        "slow_project_progress": stage == "active_project"
        and days_between(_moved_at(past), at) > number("slow_project_progress", "window_days"),
        "low_feature_usage": order.index(stage) > order.index("onboarding")
        and any(one.kind == "feature_used" for one in past)
        and recent("low_feature_usage", "feature_used")
        < number("low_feature_usage", "event_count"),
        "high_support_tickets": recent("high_support_tickets", "support_ticket")
        >= number("high_support_tickets", "event_count"),
    }
    return Standing(stage, tuple(risk for risk in RISKS if applies[risk]))


def _event(record: Record) -> Event:
    metadata = record.values.get("metadata")
    facts = metadata if isinstance(metadata, dict) else {}
    invoice = facts.get("invoice_id")
    return Event(
        record.seen_at,
        record.record_id,
        record.values["stage"],
        record.values["event_type"],
        str(facts.get("sentiment") or "").strip(" ").lower() == "negative",
        str(invoice).strip(" ") or None if invoice is not None else None,
    )


def _settles(notice: Event, later: Event) -> bool:
    return later.kind == "invoice_paid" and (
        notice.invoice is None or later.invoice is None or notice.invoice == later.invoice
    )


def _moved_at(past: list[Event]) -> datetime:
    """The last progress of a project, or the beginning of its stage when that was later."""
    entered = past[-1].at
    for event in reversed(past):
        if event.stage != past[-1].stage:
            break
        entered = event.at
    return max([entered, *(event.at for event in past if event.kind in PROGRESS)])


def _spans(
    events: list[Event], known_at: datetime, seeds: Seeds, as_of: datetime
) -> list[tuple[datetime, Standing]]:
    """Each change of stage or risks with its instant."""
    windows = [
        seeds.risk_number(risk, "window_days")
        for risk in ("low_engagement", "low_feature_usage", "high_support_tickets")
    ]
    windows.append(seeds.risk_number("slow_project_progress", "window_days") + 1)
    instants = {known_at, *(event.at for event in events)}
    instants |= {event.at + days * DAY for event in events for days in windows}
    spans: list[tuple[datetime, Standing]] = []
    for at in sorted(one for one in instants if one <= as_of):
        now = standing_at(events, seeds, at)
        if not spans or spans[-1][1] != now:
            spans.append((at, now))
    return spans


def _score(standing: Standing, rating: Decimal | None, tenant: Tenant, seeds: Seeds) -> Decimal:
    start = seeds.number(tenant, "client_default_score") if rating is None else rating
    per_risk = seeds.number(tenant, "client_score_per_risk")
    weight = seeds.client_stage_weight(standing.stage)
    return max(Decimal(0), start + weight - per_risk * len(standing.risks))


def _actions(standing: Standing, seeds: Seeds) -> list[tuple[str, str]]:
    """What to do and why, in order and without repeats."""
    found: dict[str, str] = {}
    called_for = [("stage", standing.stage), *(("risk", risk) for risk in standing.risks)]
    for kind, trigger in called_for:
        if (action := seeds.client_action(kind, trigger)) and action[0] not in found:
            found[action[0]] = action[1]
    return list(found.items())


def _advice(standing: Standing, seeds: Seeds) -> Advice:
    actions = _actions(standing, seeds)
    first = actions[0] if actions else (None, None)
    return Advice(*first, seeds.risk_level(len(standing.risks))["priority"])


def _add_history(
    tables: Mapping[str, Rows],
    client: str,
    customer_id: str,
    spans: list[tuple[datetime, Standing]],
    rating: Decimal | None,
    tenant: Tenant,
    seeds: Seeds,
) -> None:
    ends = [at for at, _ in spans[1:]]
    for (at, standing), until in zip(spans, [*ends, None], strict=True):
        tables["client_journey_score_history"][client, at] = {
            "customer_id": customer_id,
            "stage": standing.stage,
            "risk_factors": ",".join(standing.risks) or None,
            "score": _score(standing, rating, tenant, seeds),
            "risk_level": seeds.risk_level(len(standing.risks))["risk_level"],
            "valid_to": until,
        }


def _add_path(
    tables: Mapping[str, Rows],
    client: str,
    customer_id: str,
    spans: list[tuple[datetime, Standing]],
) -> list[tuple[str, datetime, datetime | None]]:
    entries: list[tuple[str, datetime]] = []
    for at, standing in spans:
        if not entries or entries[-1][0] != standing.stage:
            entries.append((standing.stage, at))
    ends = [at for _, at in entries[1:]]
    steps = [(stage, at, until) for (stage, at), until in zip(entries, [*ends, None], strict=True)]
    for number, (stage, at, until) in enumerate(steps, start=1):
        tables["client_stage_path"][client, number] = {
            "customer_id": customer_id,
            "stage": stage,
            "entered_at": at,
            "left_at": until,
            "days_in_stage": None if until is None else days_between(at, until),
        }
    return steps


def _add_next_action(
    tables: Mapping[str, Rows],
    client: str,
    spans: list[tuple[datetime, Standing]],
    seeds: Seeds,
) -> None:
    present = _advice(spans[-1][1], seeds)
    since = spans[-1][0]
    for at, standing in reversed(spans):
        if _advice(standing, seeds) != present:
            break
        since = at
    tables["client_next_actions"][client,] = {
        "next_best_action": present.action,
        "reason": present.reason,
        "priority": present.priority,
        "advised_at": since,
    }
