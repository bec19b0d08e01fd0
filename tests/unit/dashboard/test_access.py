"""Tokens and sessions."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from orchestration.dashboard.access import (
    OPERATOR,
    SESSION_SECONDS,
    Sessions,
    read_tokens,
    scope_of,
    token_for,
    tokens_file,
)
from orchestration.dashboard.app import _refusal
from orchestration.settings import Settings
from orchestration.warehouse.errors import StorageError


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", database_url=None)


def test_a_token_is_made_once_and_kept_private(settings: Settings) -> None:
    """Prevents: a new address at every start, and a token that others on the machine read."""
    token = token_for(settings)
    assert token_for(settings) == token
    assert len(token) >= 43
    assert stat.S_IMODE(tokens_file(settings).stat().st_mode) == 0o600
    assert token_for(settings, "aurora") != token
    assert token_for(settings) == token


def test_a_token_opens_what_it_was_made_for(settings: Settings) -> None:
    """Prevents: a tenant's login that sees everything, or a guess that opens anything."""
    everything, aurora = token_for(settings), token_for(settings, "aurora")
    tokens = read_tokens(settings)
    assert scope_of(tokens, everything) == OPERATOR
    assert scope_of(tokens, aurora) == "aurora"
    for guess in ("", everything[:-1], everything + "x", "*", "\udc80"):
        assert scope_of(tokens, guess) is None
    session = Sessions().find(None, tokens)
    assert session is None


def test_a_session_ends_when_it_should(settings: Settings) -> None:
    """Prevents: a cookie that lives on after logout, renewal or a night."""
    now = [0.0]
    sessions = Sessions(clock=lambda: now[0])
    token = token_for(settings, "aurora")
    cookie, other = sessions.open("aurora", token), sessions.open("aurora", token)
    found = sessions.find(cookie, read_tokens(settings))
    assert found is not None
    assert found.opens("aurora")
    assert not found.opens("bluegum")

    sessions.close(cookie)
    assert sessions.find(cookie, read_tokens(settings)) is None
    assert sessions.find(other, read_tokens(settings)) is not None

    renewed = token_for(settings, "aurora", renew=True)
    assert sessions.find(other, read_tokens(settings)) is None

    late = sessions.open("aurora", renewed)
    now[0] = SESSION_SECONDS
    assert sessions.find(late, read_tokens(settings)) is None


def test_a_spoilt_file_names_itself_and_the_way_out(settings: Settings) -> None:
    """Prevents: a stack trace when the disk was full while the tokens were written."""
    settings.home.mkdir()
    tokens_file(settings).write_text("{")
    with pytest.raises(StorageError, match="dashboard_tokens cannot be read"):
        token_for(settings)


@pytest.mark.parametrize(
    ("method", "host", "origin", "is_answered"),
    [
        ("GET", "127.0.0.1:8600", None, True),
        ("GET", "localhost:8600", "http://elsewhere.example", True),
        ("GET", "[::1]:8600", None, True),
        ("POST", "127.0.0.1:8600", "http://127.0.0.1:8600", True),
        ("POST", "127.0.0.1:8600", None, True),
        ("POST", "127.0.0.1:8600", "http://127.0.0.1:3000", False),
        ("POST", "127.0.0.1:8600", "null", False),
        ("GET", "journey.attacker.example:8600", None, False),
        ("GET", "127.0.0.1.attacker.example", None, False),
        ("GET", "", None, False),
        ("GET", "[::1", None, False),
    ],
)
def test_only_this_machine_is_answered(
    method: str, host: str, origin: str | None, is_answered: bool
) -> None:
    """Prevents: a web page elsewhere that reads the dashboard through a name it controls."""
    assert (_refusal(method, host, origin) is None) is is_answered
