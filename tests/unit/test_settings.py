"""What the environment says, and what is said back when it cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestration.settings import PROJECT_ROOT, get_settings
from orchestration.warehouse.database import parse_url
from orchestration.warehouse.errors import SettingsError


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "JOURNEY_HOME",
        "JOURNEY_DATABASE_URL",
        "JOURNEY_LANDING",
        "JOURNEY_ROLE_PASSWORDS",
    ):
        monkeypatch.delenv(name, raising=False)


def test_without_variables_everything_stays_in_the_project() -> None:
    """Prevents: a first run that writes where nobody looks."""
    settings = get_settings()
    assert settings.home == PROJECT_ROOT / ".journey"
    assert settings.landing == str(PROJECT_ROOT / ".journey" / "landing")
    assert settings.uses_embedded_database


def test_landing_follows_the_home_unless_it_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents: files loaded from the home of another warehouse."""
    monkeypatch.setenv("JOURNEY_HOME", "/srv/journey")
    assert get_settings().landing == "/srv/journey/landing"
    monkeypatch.setenv("JOURNEY_LANDING", "s3://bucket/landing")
    assert get_settings().landing == "s3://bucket/landing"


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents: `JOURNEY_HOME=` in a unit file turns the current folder into the home."""
    monkeypatch.setenv("JOURNEY_HOME", "")
    monkeypatch.setenv("JOURNEY_DATABASE_URL", "")
    assert get_settings().home == PROJECT_ROOT / ".journey"
    assert get_settings().uses_embedded_database


def test_a_relative_home_does_not_move_with_the_current_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Prevents: a server started in one folder and looked for in another."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JOURNEY_HOME", "mine")
    assert get_settings().home == tmp_path / "mine"


def test_dbt_is_told_the_same_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents: loaders and models that work on different databases, or without encryption."""
    monkeypatch.setenv(
        "JOURNEY_DATABASE_URL", "postgres://ann:p%40ss@db.example:6543/shop?sslmode=require"
    )
    assert get_settings().dbt_environment() == {
        "JOURNEY_PG_HOST": "db.example",
        "JOURNEY_PG_PORT": "6543",
        "JOURNEY_PG_USER": "ann",
        "JOURNEY_PG_PASSWORD": "p@ss",
        "JOURNEY_PG_DBNAME": "shop",
        "PGTZ": "UTC",
        "PGSSLMODE": "require",
    }


def test_the_password_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents: a password in a log that prints the settings."""
    monkeypatch.setenv("JOURNEY_DATABASE_URL", "postgresql://ann:secret@db.example/shop")
    assert "secret" not in f"{get_settings()!r} {get_settings()}"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mysql://ann:secret@db.example/shop", "starts with mysql://"),
        ("postgresql://ann:secret@db.example", "lacks a host or database"),
        ("postgresql:///shop", "lacks a host or database"),
        ("db.example secret", "cannot be read"),
        ("postgresql://ann:secret@db.example:none/shop", "cannot be read"),
    ],
)
def test_an_address_that_is_none_is_refused_without_the_password(text: str, words: str) -> None:
    """Prevents: a stack trace that shows the password to whoever reads the log."""
    with pytest.raises(SettingsError, match=words) as caught:
        parse_url(text)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "postgres://ann:pw@db.example/shop",
        "postgresql://ann:pw@db.example/shop",
        "postgresql+psycopg2://ann:pw@db.example/shop",
    ],
)
def test_every_way_to_write_the_address_is_understood(text: str) -> None:
    """Prevents: an address copied from elsewhere that fails on its first word."""
    assert parse_url(text).drivername == "postgresql+psycopg"


def test_a_variable_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents: a page of validation output for a slip in one variable."""
    monkeypatch.setenv("JOURNEY_HOME", "~nobody-of-that-name/journey")
    with pytest.raises(SettingsError, match=r"JOURNEY_HOME: .* no user nobody-of-that-name"):
        get_settings()
