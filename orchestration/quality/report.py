"""What the checks at a boundary found, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from orchestration.quality.rules import Severity
from orchestration.warehouse.errors import JourneyError

MOST_TOLD = 20


class QualityFailed(JourneyError):
    """An expectation of severity error does not hold; the message names each."""


@dataclass(frozen=True)
class Failure:
    """An expectation that does not hold for a tenant.

    It is kept with the build for good, so it names rows by their place and holds nothing of them.
    """

    table: str
    tenant_id: str
    severity: Severity
    expected: str
    found: str
    examples: tuple[str, ...]
    """Some of the rows: file and line, or the id of a message."""
    look: str
    """The query that shows them."""
    mend: str

    def explain(self) -> str:
        """What was expected and found, where, and the way out."""
        words = (
            f"{self.table} of {self.tenant_id}: expected that {self.expected}; found {self.found}"
        )
        if self.examples:
            words += f", such as {', '.join(self.examples)}"
        look = " ".join(self.look.split())
        return f"{words}. {self.mend}. See the rows in journey psql: {look};"


@dataclass(frozen=True)
class QualityReport:
    """The outcome of the checks at one boundary."""

    boundary: str
    expectations: dict[str, int]
    """How many were asked of each table; 0 where there was nothing new to ask about."""
    failures: tuple[Failure, ...] = ()
    seconds: float = 0.0
    late: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Words about each source that should have arrived."""

    def of(self, table: str) -> list[Failure]:
        """What does not hold for one table."""
        return [failure for failure in self.failures if failure.table == table]

    def with_severity(self, severity: Severity) -> list[Failure]:
        """The failures that stop a build (error) or do not (warn)."""
        return [failure for failure in self.failures if failure.severity == severity]

    def require_success(self) -> None:
        """Do nothing unless an expectation of severity error does not hold.

        Raises:
            QualityFailed: the message explains each.
        """
        if errors := self.with_severity("error"):
            raise QualityFailed("\n".join(_capped([one.explain() for one in errors])))

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values, as the record of the build keeps it."""
        return {
            "tables": len(self.expectations),
            "expectations": sum(self.expectations.values()),
            "seconds": round(self.seconds, 3),
            "failures": [
                {**asdict(one), "examples": list(one.examples)} for one in self.failures[:MOST_TOLD]
            ],
            "errors": len(self.with_severity("error")),
            "warnings": _capped([one.explain() for one in self.with_severity("warn")]),
            "late": _capped([words for of_source in self.late.values() for words in of_source]),
        }


def _capped(lines: Sequence[str]) -> list[str]:
    more = len(lines) - MOST_TOLD
    return [*lines[:MOST_TOLD], *([f"and {more} more"] if more > 0 else [])]
