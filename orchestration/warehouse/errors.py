"""The errors that people are expected to meet. Each message names thing, place and way out."""

from __future__ import annotations


class JourneyError(Exception):
    """Base of every expected error: the command line prints its message and exits with 1."""


class SettingsError(JourneyError):
    """An environment variable holds something that cannot be used."""


class DatabaseUnavailable(JourneyError):
    """The database cannot be reached, or does not let us in."""


class DatabaseUnsuitable(JourneyError):
    """The database answers, but is too old, or does not grant what the warehouse needs."""


class StorageError(JourneyError):
    """A folder cannot be written: read-only, full, or not a folder."""


class ServerError(JourneyError):
    """The embedded PostgreSQL server cannot be made, started or stopped."""


class ServiceError(JourneyError):
    """A background service (the Dagster UI or its daemon) cannot be started or stopped."""
