"""Who may look: tokens in a private file of the home, and the sessions that they open.

The operator's token opens every tenant, a tenant's token that tenant alone. A session ends after
twelve hours, with a logout, when its token is renewed, and when the dashboard ends.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from orchestration.settings import Settings
from orchestration.warehouse.errors import StorageError
from orchestration.warehouse.storage import locked, make_folder, write_private

OPERATOR = "*"
SESSION_SECONDS = 12 * 3_600
TOKEN_BYTES = 32


def tokens_file(settings: Settings) -> Path:
    """Where the tokens are kept."""
    return settings.home / "dashboard_tokens"


def read_tokens(settings: Settings) -> dict[str, str]:
    """The tokens by what they open: a tenant_id, or OPERATOR for every tenant.

    Raises:
        StorageError: the file is there, but is not ours to read, or not what we wrote.
    """
    file = tokens_file(settings)
    try:
        tokens = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise StorageError(
            f"The file {file} cannot be read ({error}). Delete it; new tokens are made then."
        ) from error
    return {str(scope): str(token) for scope, token in tokens.items()}


def token_for(settings: Settings, scope: str = OPERATOR, *, renew: bool = False) -> str:
    """The token that opens a tenant, or everything; made on the first call.

    Args:
        renew: make a new one, which ends the sessions of the old.
    """
    make_folder(settings.home)
    with locked(settings.home / "dashboard.lock", "the tokens of the dashboard"):
        tokens = read_tokens(settings)
        if renew or scope not in tokens:
            tokens[scope] = secrets.token_urlsafe(TOKEN_BYTES)
            write_private(tokens_file(settings), json.dumps(tokens, indent=2) + "\n")
        return tokens[scope]


def scope_of(tokens: dict[str, str], candidate: str) -> str | None:
    """What a token opens; None for one that is unknown. The time it takes tells nothing."""
    given, found = _digest(candidate), None
    for scope, token in tokens.items():
        if hmac.compare_digest(given, _digest(token)):
            found = scope
    return found


@dataclass(frozen=True)
class Session:
    """Somebody who is logged in."""

    scope: str
    token_digest: bytes
    ends_at: float

    def opens(self, tenant_id: str) -> bool:
        """Whether this tenant may be seen."""
        return self.scope in (OPERATOR, tenant_id)


class Sessions:
    """The sessions of one process, known by the digest of their cookie."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._known: dict[bytes, Session] = {}

    def open(self, scope: str, token: str) -> str:
        """Begin a session; returns the value of its cookie."""
        now = self._clock()
        for key, session in list(self._known.items()):
            if session.ends_at <= now:
                self._known.pop(key, None)
        cookie = secrets.token_urlsafe(TOKEN_BYTES)
        self._known[_digest(cookie)] = Session(scope, _digest(token), now + SESSION_SECONDS)
        return cookie

    def find(self, cookie: str | None, tokens: dict[str, str]) -> Session | None:
        """The session of a cookie, while it lasts and its token is still the one in force."""
        session = self._known.get(_digest(cookie)) if cookie else None
        if session is None or session.ends_at <= self._clock():
            return None
        token = tokens.get(session.scope)
        if token is None or not hmac.compare_digest(_digest(token), session.token_digest):
            return None
        return session

    def close(self, cookie: str | None) -> None:
        """End a session."""
        if cookie:
            self._known.pop(_digest(cookie), None)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
