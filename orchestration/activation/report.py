"""What became of the messages of a live delivery, in numbers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID


@dataclass
class SentPurpose:
    """What became of the messages of one purpose."""

    output: str
    destination: str
    purpose: str
    sent: int = 0
    backfilled: int = 0
    """Of those sent, how many were recorded without starting anything."""
    skipped: Counter[str] = field(default_factory=Counter)
    waiting: Counter[str] = field(default_factory=Counter)
    rejected: int = 0
    unknown: int = 0
    not_due: int = 0
    left: int = 0
    """Due, and not looked at: the run ended at its limit, or was stopped."""
    samples: list[str] = field(default_factory=list)
    """The first message ids that were sent."""

    def to_dict(self) -> dict[str, Any]:
        """The counts as plain values."""
        return {
            **self.__dict__,
            "skipped": dict(self.skipped),
            "waiting": dict(self.waiting),
        }


@dataclass
class SendReport:
    """What a live delivery did for a tenant."""

    build_id: UUID
    as_of: datetime
    tenant_id: str
    purposes: dict[tuple[str, str, str], SentPurpose] = field(default_factory=dict)
    held_out: int = 0
    """People of the tenant's campaigns who are held out, and hear nothing."""
    forgotten: int = 0
    """People whom a destination forgot, because they asked for it."""
    notes: list[str] = field(default_factory=list)
    """What was not done, and why."""
    is_complete: bool = True
    """False when the run stopped before its end."""

    def of(self, output: str) -> SendReport:
        """The part of one output."""
        own = {key: one for key, one in self.purposes.items() if key[0] == output}
        return replace(self, purposes=own)

    def total(self, what: str) -> int:
        """The sum of a count over all purposes."""
        counts = (getattr(one, what) for one in self.purposes.values())
        return sum(one.total() if isinstance(one, Counter) else int(one) for one in counts)

    def at(self, output: str, destination: str, purpose: str) -> SentPurpose:
        """The counts of a purpose."""
        key = (output, destination, purpose)
        return self.purposes.setdefault(key, SentPurpose(*key))

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values."""
        return {
            "build_id": str(self.build_id),
            "as_of": self.as_of.isoformat(),
            "tenant_id": self.tenant_id,
            "is_complete": self.is_complete,
            "held_out": self.held_out,
            "forgotten": self.forgotten,
            "notes": self.notes,
            "purposes": [one.to_dict() for one in self.purposes.values()],
        }
