"""What every destination says about itself, and the words in which it says it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import orjson

from orchestration.activation.message import Message
from orchestration.activation.rates import Limits

TOO_MANY_REQUESTS = 429
UNAUTHORISED = (401, 403)
LONGEST_REASON = 500


@dataclass(frozen=True)
class Request:
    """One HTTP request, without what proves who asks."""

    method: str
    path: str
    endpoint: str
    """Whose limits it counts towards."""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Answer:
    """What came back: a status, or why nothing did."""

    status: int | None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    problem: str = ""
    """Why there is no status."""
    may_have_arrived: bool = False
    """True when this request, or an earlier try of it, may have been taken without an answer."""

    def json(self) -> Any:
        """The body, or None when it is no JSON."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return None


@dataclass(frozen=True)
class Outcome:
    """What became of a message: `waiting` has surely not arrived, and may be sent as it is."""

    state: Literal["accepted", "rejected", "unknown", "waiting"]
    reason: str | None = None
    must_stop: bool = False
    """True when no other message would fare better."""


ACCEPTED = Outcome("accepted")


@dataclass(frozen=True)
class Bulk:
    """A way to send many messages in one request, that takes all of them or none."""

    operations: frozenset[str]
    most_messages: int
    most_bytes: int
    to_entry: Callable[[Message], bytes]
    to_request: Callable[[Sequence[bytes]], Request]
    job_of: Callable[[Answer], str | None]
    """The job that an accepted request became; None when the answer names none."""
    job_request: Callable[[str], Request]
    read_job: Callable[[Answer], Outcome | None]
    """What became of the job; None as long as it is at work."""


@dataclass(frozen=True)
class Joint:
    """A way to end many messages by one request, of which a repeat does no harm.

    Each message begins with a request of its own. The requests that have to follow may leave as
    one, when they go to the same address.
    """

    operations: frozenset[str]
    most_messages: int
    to_request: Callable[[Sequence[Request]], Request]
    """One request instead of those."""


@dataclass(frozen=True)
class Destination:
    """A system that takes messages one by one, where a repeat of a message does no harm."""

    name: str
    url_variable: str
    default_url: str | None
    secret_variable: str
    limits: Mapping[str, Limits]
    authorise: Callable[[str, Request, datetime], Mapping[str, str]]
    """The headers that prove to it who asks: of the secret, the request and the present."""
    to_request: Callable[[Message], Request]
    read: Callable[[Message, Request, Answer], Outcome | Request]
    """What became of the message, or the request that has to follow."""
    bulk: Bulk | None = None
    joint: Joint | None = None
    knows_people: bool = True
    """False when nothing at the destination names a person, so that nothing is forgotten there."""


def judge(answer: Answer) -> Outcome | None:
    """What every destination means by an answer; None when it took the request."""
    if answer.status is None or answer.status >= 500:
        reason = answer.problem or f"the destination answered {answer.status}"
        return Outcome("unknown" if answer.may_have_arrived else "waiting", reason)
    if answer.status == TOO_MANY_REQUESTS:
        return Outcome("unknown" if answer.may_have_arrived else "waiting", "rate_limited")
    if answer.status in UNAUTHORISED:
        return Outcome(
            "unknown" if answer.may_have_arrived else "waiting",
            f"the destination refuses our credentials: {detail(answer)}",
            must_stop=True,
        )
    if not 200 <= answer.status < 300:
        return Outcome("rejected", detail(answer))
    return None


def detail(answer: Answer) -> str:
    """The destination's own words about what is wrong."""
    body = answer.json()
    errors = body.get("errors") if isinstance(body, dict) else None
    said = [
        str(error.get("detail") or error.get("title") or error.get("message"))
        for error in (errors if isinstance(errors, list) else [])
        if isinstance(error, dict)
    ]
    text = "; ".join(said) or answer.body.decode("utf-8", "replace").strip()
    return f"answered {answer.status}: {text}"[:LONGEST_REASON]
