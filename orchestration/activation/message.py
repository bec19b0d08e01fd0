"""What the sync models decide, as Python sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
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
    }
)
"""The sync model of each output."""


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

    @property
    def address(self) -> tuple[str, str, str]:
        """Tenant, destination and purpose."""
        return self.tenant_id, self.destination, self.purpose
