"""The gate before every sender: nothing goes out on the word of a build that did not succeed."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy

from orchestration.warehouse.builds import Build, latest_loss, settled_latest_build
from orchestration.warehouse.errors import JourneyError


class GateClosed(JourneyError):
    """The latest build does not vouch for the messages."""


def require_success(connection: sqlalchemy.Connection) -> Build:
    """The latest build, which must have succeeded as a whole, and left what it published alone.

    A success means that every model was built and every error-level check passed. A build of a
    part (`--select`) does not count, for its marts may describe different instants. A dry run may
    describe any such build, however old: what it writes is dated with the build's as-of.

    Raises:
        GateClosed: there is no such build; the message says why and what to do.
    """
    is_migrated = sqlalchemy.text("select to_regclass('ops.builds') is not null")
    build = settled_latest_build(connection) if connection.scalar(is_migrated) else None
    if build is None:
        raise GateClosed("There is no build yet, so nothing to deliver. Make one: journey build")
    named = f"build {build.build_id}, started {build.started_at:%Y-%m-%d %H:%M:%S} UTC,"
    if build.verdict == "running":
        raise GateClosed(
            f"The {named} is running; its marts are not settled. Deliver when it has ended."
        )
    if build.verdict == "interrupted":
        raise GateClosed(
            f"The latest {named} was interrupted ({build.error}), so nothing is delivered. "
            "Build again: journey build"
        )
    if build.verdict != "succeeded":
        raise GateClosed(
            f"The latest {named} failed, so nothing is delivered. Mend this, then build again "
            f"with journey build:\n{build.error}"
        )
    if build.scope != "whole":
        raise GateClosed(
            f"The latest {named} covered only a part of the models. Build all of them: "
            "journey build"
        )
    loss = latest_loss(connection)
    if loss is not None:
        raise GateClosed(
            f"Since the latest {named} {loss.explain()}, so nothing is delivered. Build again, "
            "which derives everything anew: journey build"
        )
    return build


def require_fresh(build: Build, now: datetime, most: timedelta) -> None:
    """Do nothing when the build describes a present that is near enough to send by.

    Raises:
        GateClosed: the build is too old, or describes a time to come; the message says which, and
            what to do.
    """
    if build.as_of > now:
        raise GateClosed(
            f"The latest build describes {build.as_of:%Y-%m-%d %H:%M:%S} UTC, which is yet to "
            "come, so nothing is sent. Build the present: journey build"
        )
    if now - build.as_of > most:
        hours = (now - build.as_of) / timedelta(hours=1)
        raise GateClosed(
            f"The latest build describes {build.as_of:%Y-%m-%d %H:%M} UTC, {hours:.1f} hours ago, "
            f"and live messages need one of at most {most / timedelta(hours=1):g} hours "
            "(JOURNEY_MAX_BUILD_AGE_HOURS), so nothing is sent. Build again: journey build"
        )
