"""B2B clients and their journeys: every stage, every risk factor, and the calm ones."""

from __future__ import annotations

from typing import Any

import orjson

from orchestration.sample.world import AS_OF, DAY, stream, utc
from orchestration.sample.writers import Landing

STAGES = (
    "lead",
    "qualified_lead",
    "onboarding",
    "active_project",
    "awaiting_feedback",
    "billing",
    "retention",
    "upsell_candidate",
    "churn_risk",
)
SCENARIOS = (
    "calm",
    "quiet",
    "invoice overdue",
    "invoice paid late",
    "unhappy",
    "stalled",
    "unused",
    "noisy support",
    "everything",
)
_ENTRY_EVENT = {
    "lead": "email_received",
    "qualified_lead": "meeting",
    "onboarding": "contract_signed",
    "active_project": "milestone_reached",
    "awaiting_feedback": "delivery",
    "billing": "invoice_sent",
    "retention": "feedback_received",
    "upsell_candidate": "proposal_sent",
    "churn_risk": "note",
}
_LEAST_CLIENTS = len(STAGES) * len(SCENARIOS)
_KINDS = ("Studio", "Hotel", "Clinic", "Labs", "Spa", "Gym")


def write_clients(seed: int, customers: int, landing: Landing) -> None:
    """Write the B2B clients of the wellness shop: every stage with every scenario, or more."""
    for number in range(max(_LEAST_CLIENTS, customers // 50)):
        stage = STAGES[number % len(STAGES)]
        scenario = SCENARIOS[number // len(STAGES) % len(SCENARIOS)]
        _write_client(seed, number + 1, stage, scenario, landing)


def _write_client(seed: int, number: int, stage: str, scenario: str, landing: Landing) -> None:
    random = stream(seed, "clients", number)
    client_id = f"client-{number:06d}"
    name = f"{_KINDS[number % len(_KINDS)]} {number}"
    score: float | int | None = [None, 0, 100, 50, 72.5, 33][number % 6]
    created = AS_OF - int(random.integers(120, 500)) * DAY
    contact = {
        "id": client_id,
        "name": name,
        "email": f"office{number}@client.example",
        "ai_score": score if number % 4 else None,
        "status": "active",
        "updated_at": utc(created),
    }
    landing.add_mapping("aurora", "contacts", created, contact)
    if number % 3 == 0:
        consent = {
            "id": f"consent-{client_id}",
            "email": contact["email"],
            "channel": "email",
            "subscribed": "true",
            "reason": "contract",
            "changed_at": utc(created),
        }
        landing.add_mapping("aurora", "consent_changes", created, consent)
    if number % 4 == 0 and score is not None:
        newer = {**contact, "ai_score": score, "updated_at": utc(AS_OF - 10 * DAY)}
        landing.add_mapping("aurora", "contacts", AS_OF - 10 * DAY, newer)

    events = _events(stage, scenario, created, number)
    for ordinal, (at, in_stage, kind, metadata) in enumerate(sorted(events, key=lambda e: e[0])):
        landing.add(
            "aurora",
            "client_journey_events",
            at,
            (
                f"ce-{number:06d}-{ordinal:03d}",
                client_id,
                in_stage,
                kind,
                orjson.dumps(metadata).decode() if metadata else None,
                utc(at),
            ),
        )


def _events(
    stage: str, scenario: str, created: int, number: int
) -> list[tuple[int, str, str, dict[str, Any]]]:
    """(time, stage, type, metadata) of one client: the way to its stage, then its scenario."""

    def ago(days: float) -> int:
        return int(AS_OF - days * DAY) - number % 3_600

    path = STAGES[: STAGES.index(stage) + 1]
    step = (ago(35) - created) // len(path)
    events: list[tuple[int, str, str, dict[str, Any]]] = [
        (created + ordinal * step, name, _ENTRY_EVENT[name], {})
        for ordinal, name in enumerate(path)
    ]
    everything = scenario == "everything"
    if scenario not in ("quiet", "everything"):
        events += [(ago(days), stage, "message", {}) for days in (25, 15, 6)]
        if stage == "active_project" and scenario != "stalled":
            events.append((ago(4), stage, "progress_update", {}))
    if everything or scenario in ("invoice overdue", "invoice paid late"):
        invoice = {"invoice_id": f"inv-{number}"}
        events.append((ago(45), "billing", "invoice_overdue", invoice))
        if scenario == "invoice paid late":
            events.append((ago(40), "billing", "invoice_paid", invoice))
        elif number % 2:
            events.append((ago(41), "billing", "invoice_paid", {"invoice_id": "inv-another"}))
        events.append((ago(28), stage, "note", {}))
    if everything or scenario == "unhappy":
        mood = {"sentiment": "negative"}
        events += [(ago(days), stage, "feedback_received", mood) for days in (32, 31.5)]
        events.append((ago(31), stage, "call", {"sentiment": "positive"}))
    if everything or scenario in ("unused", "calm"):
        days = (20, 12, 3) if scenario == "calm" else (80, 70, 12)
        events += [(ago(day), stage, "feature_used", {"feature": "reports"}) for day in days]
    if scenario == "noisy support":
        events += [(ago(day), stage, "support_ticket", {}) for day in (22, 14, 9, 2)]
    return events
