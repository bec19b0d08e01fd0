"""What can go wrong between a landing file and its raw table."""

from __future__ import annotations

from orchestration.warehouse.errors import JourneyError


class ContractError(JourneyError):
    """A source's contract is malformed, or no longer fits the raw table made from it."""


class TenantsError(JourneyError):
    """The list of tenants cannot be used."""


class LandingError(JourneyError):
    """The landing zone cannot be listed."""


class LoadBusy(JourneyError):
    """Another load is running."""


class FileRefused(JourneyError):
    """A file cannot be read at all, so that nothing of it is loaded; the message says why."""
