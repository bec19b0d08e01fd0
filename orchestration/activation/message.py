"""What the sync models decide, as Python sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

SYNC_SCHEMA = "sync"
OUTPUTS: Mapping[str, str] = MappingProxyType(
    {
        "winback": "sync_klaviyo__winback_events",
        "loyalty": "sync_klaviyo__loyalty_events",
        "gifts": "sync_klaviyo__gift_deliveries",
        "discount_codes": "sync_shopify__discount_codes",
        "client_advice": "sync_webhook__next_best_actions",
        "client_events": "sync_klaviyo__next_best_actions",
        "segments": "sync_klaviyo__segment_memberships",
    }
)
"""The sync model of each output."""


DELETE_PROFILE = "delete_profile"
"""The operation by which a destination forgets somebody."""


class Kind(StrEnum):
    """How a message reaches a person, which decides what is asked before it is sent."""

    marketing = "marketing"
    """It needs consent, and counts towards the frequency cap."""
    transactional = "transactional"
    """The person waits for it: it is sent whether or not marketing is wanted."""
    internal = "internal"
    """Data between systems, or news for our own people."""


@dataclass(frozen=True)
class Purpose:
    """What holds for all messages of one purpose at one destination."""

    kind: Kind
    subject: tuple[str, ...] = ()
    """The properties of the event that say what it is about. Who was merged has had the message
    when one of the same subject went to an old id. Empty: the message id does not name the
    customer, so that it stays the same."""
    is_news: bool = False
    """True when it tells of what happened: old news is recorded, and starts nothing there."""
    needs_enrolment: bool = False
    """True when only people enrolled in the campaign that the event names may have it."""


PURPOSES: Mapping[tuple[str, str], Purpose] = MappingProxyType(
    {
        ("klaviyo", "winback"): Purpose(Kind.marketing, ("campaign_id",), needs_enrolment=True),
        ("klaviyo", "points_earned"): Purpose(
            Kind.marketing, ("movement_type", "reference_id"), is_news=True
        ),
        ("klaviyo", "tier_reached"): Purpose(Kind.marketing, ("tier",), is_news=True),
        ("klaviyo", "points_expiring"): Purpose(Kind.marketing, ("points_expire_at",)),
        ("klaviyo", "next_best_action"): Purpose(Kind.marketing, is_news=True),
        ("klaviyo", "reward_code"): Purpose(Kind.transactional, ("code",)),
        ("klaviyo", "gift_delivery"): Purpose(Kind.transactional),
        ("klaviyo", "segment_membership"): Purpose(Kind.internal),
        ("shopify", "discount_code"): Purpose(Kind.internal),
        ("webhook", "next_best_action"): Purpose(Kind.internal),
    }
)
"""What each destination's purposes are; a message of another one is an error."""


@dataclass(frozen=True)
class Message:
    """One message for a destination; its id never depends on a run or a clock."""

    message_id: str
    tenant_id: str
    customer_id: str | None
    destination: str
    operation: str
    purpose: str
    payload: str
    """The body to send: one line of JSON."""
    not_before: datetime | None
    expires_at: datetime | None
    is_backfill: bool = False
    """Recorded at the destination without starting anything there."""
    attempts: int = 0
    """Requests that carried it before."""

    @property
    def address(self) -> tuple[str, str, str]:
        """Tenant, destination and purpose."""
        return self.tenant_id, self.destination, self.purpose
