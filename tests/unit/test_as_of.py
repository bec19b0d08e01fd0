"""The var as_of becomes one instant in UTC, or a message that says how to write it."""

from __future__ import annotations

import datetime
import re
from types import SimpleNamespace
from typing import Any

import jinja2
import pytest

from orchestration.settings import PROJECT_ROOT

START = datetime.datetime(2026, 7, 1, 4, 5, 6, 789, tzinfo=datetime.UTC)


class CompilerError(Exception):
    """What dbt raises for exceptions.raise_compiler_error."""


def raise_compiler_error(message: str) -> None:
    raise CompilerError(message)


def compiled(given: Any) -> str:
    """What the macro writes into the SQL when the var holds the given value."""
    source = (PROJECT_ROOT / "macros" / "as_of.sql").read_text()
    template = jinja2.Environment().from_string(source + "{{ as_of() }}")
    return template.render(
        var=lambda name, default: given,
        run_started_at=START,
        modules=SimpleNamespace(datetime=datetime, re=re, pytz=SimpleNamespace(utc=datetime.UTC)),
        exceptions=SimpleNamespace(raise_compiler_error=raise_compiler_error),
        type_timestamptz=lambda: "timestamptz",
    ).strip()


@pytest.mark.parametrize(
    ("given", "instant"),
    [
        pytest.param("2026-07-01T00:00:00Z", "2026-07-01 00:00:00.000000+00", id="utc"),
        pytest.param("2026-07-01T02:00:00+02:00", "2026-07-01 00:00:00.000000+00", id="offset"),
        pytest.param("2026-07-01 00:00Z", "2026-07-01 00:00:00.000000+00", id="no-seconds"),
        pytest.param("2026-07-01T00:00:00.5Z", "2026-07-01 00:00:00.500000+00", id="fraction"),
        pytest.param(
            datetime.datetime(2026, 7, 1, tzinfo=datetime.UTC),
            "2026-07-01 00:00:00.000000+00",
            id="made-by-yaml",
        ),
        pytest.param(None, "2026-07-01 04:05:06.000789+00", id="start-of-the-run"),
    ],
)
def test_as_of_is_one_instant_in_utc(given: Any, instant: str) -> None:
    """Prevents a build that describes another instant on a machine in another time zone."""
    assert compiled(given) == f"cast('{instant}' as timestamptz)"


@pytest.mark.parametrize(
    "given",
    [
        "2026-07-01",
        "2026-07-01T00:00:00",
        "yesterday",
        "",
        "2026-07-01T00:00:00Z'); drop table marts.customers; --",
        datetime.datetime.fromisoformat("2026-07-01T00:00:00"),
    ],
)
def test_an_instant_without_offset_is_refused(given: Any) -> None:
    """Prevents a guessed time zone, and text that reaches the SQL as it is."""
    with pytest.raises(CompilerError, match="write it like 2026-07-01T00:00:00Z"):
        compiled(given)
