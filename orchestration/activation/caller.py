"""Calls one account of a destination: in its time, with patience, and honest about the unknown."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from orchestration.activation.destinations.base import (
    TOO_MANY_REQUESTS,
    Answer,
    Destination,
    Request,
)
from orchestration.activation.rates import Limiter, Limits
from orchestration.settings import Settings
from orchestration.warehouse.errors import JourneyError

if TYPE_CHECKING:
    import tenacity

TIMEOUT_SECONDS = 30.0
MOST_TRIES = 8
"""With waits that double from one second, the last ones are longer than a window of a minute."""
LONGEST_PAUSE_SECONDS = 900.0


class NotConnectable(JourneyError):
    """The address or the credentials of a destination cannot be used."""


@dataclass(frozen=True)
class Account:
    """Where a tenant's messages to one destination go, and the secret that opens the door."""

    destination: Destination
    url: str
    secret: str

    def __repr__(self) -> str:
        return f"Account({self.destination.name}, {self.url})"


def account_of(settings: Settings, destination: Destination, tenant_id: str) -> Account | None:
    """The tenant's account, from the environment; None when it is not connected.

    Raises:
        NotConnectable: the address is neither https nor this machine.
    """
    secret = settings.of_tenant(destination.secret_variable, tenant_id)
    given = settings.of_tenant(destination.url_variable, tenant_id)
    url = given.get_secret_value() if given else destination.default_url
    if secret is None or url is None:
        return None
    parts = urlsplit(url)
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and _is_local(parts.hostname))
    if not is_safe:
        raise NotConnectable(
            f"{destination.url_variable} of tenant {tenant_id} must begin with https:// (http:// "
            "is for this machine only), because messages name people"
        )
    return Account(destination, url.rstrip("/"), secret.get_secret_value())


class Caller:
    """Sends the requests of one account, from any thread."""

    def __init__(
        self,
        account: Account,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], None] = time.sleep,
        limits: Mapping[str, Limits] | None = None,
        timeout: float = TIMEOUT_SECONDS,
    ) -> None:
        import httpx

        self.is_down = False
        """True when a request got no answer in the longest patience, or the destination wants more
        patience than that: nothing more is tried."""
        self._account = account
        self._clock = clock
        self._sleep = sleep
        self._limiters = {
            endpoint: Limiter(limit, sleep=sleep)
            for endpoint, limit in (limits or account.destination.limits).items()
        }
        self._client = httpx.Client(timeout=timeout, follow_redirects=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def call(self, request: Request, *, may_repeat: bool) -> Answer:
        """The answer to the request, after as many tries as make sense.

        A request that was refused for want of time, or never left this machine, is tried again. One
        whose answer is missing, or a failure of the destination, only if a repeat does no harm.

        Args:
            request: what to ask.
            may_repeat: whether the destination takes a repeat for the same.
        """
        import tenacity

        tries = _Tries(self, request, may_repeat)
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(MOST_TRIES),
            retry=tenacity.retry_if_result(tries.is_worth_another),
            wait=tries.seconds_before_the_next,
            sleep=self._sleep,
            retry_error_callback=tries.give_up,
        )
        answer: Answer = retrying(tries.once)
        return answer

    def try_once(self, request: Request) -> Answer:
        """One try, when the limits of the endpoint allow it."""
        import httpx

        self._limiters[request.endpoint].wait()
        proof = self._account.destination.authorise(self._account.secret, request, self._clock())
        try:
            response = self._client.request(
                request.method,
                self._account.url + request.path,
                content=request.body,
                headers={**request.headers, **proof},
            )
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            return Answer(None, problem=f"cannot be reached: {error}")
        except httpx.HTTPError as error:
            problem = f"no answer: {type(error).__name__} {error}".strip()
            return Answer(None, problem=problem, may_have_arrived=True)
        answer = Answer(response.status_code, dict(response.headers), response.content)
        if answer.status == TOO_MANY_REQUESTS or (
            response.status_code >= 500 and "retry-after" in response.headers
        ):
            self._obey(request.endpoint, retry_after(answer, self._clock()))
        return replace(answer, may_have_arrived=response.status_code >= 500)

    def _obey(self, endpoint: str, seconds: float) -> None:
        """Let nothing begin there for so long; for longer than a run should last, try no more."""
        if seconds > LONGEST_PAUSE_SECONDS:
            self.is_down = True
        else:
            self._limiters[endpoint].pause(seconds)


class _Tries:
    """The tries of one request."""

    def __init__(self, caller: Caller, request: Request, may_repeat: bool) -> None:
        self._caller = caller
        self._request = request
        self._may_repeat = may_repeat
        self._may_have_arrived = False

    def once(self) -> Answer:
        if self._caller.is_down:
            problem = "the destination gave no answer to the requests before, or asked for time"
            return Answer(None, problem=problem, may_have_arrived=self._may_have_arrived)
        answer = self._caller.try_once(self._request)
        self._may_have_arrived |= answer.may_have_arrived
        return replace(answer, may_have_arrived=self._may_have_arrived)

    def is_worth_another(self, answer: Answer) -> bool:
        if self._caller.is_down or not (self._may_repeat or not self._may_have_arrived):
            return False
        return answer.status is None or answer.status >= 500 or answer.status == TOO_MANY_REQUESTS

    def seconds_before_the_next(self, state: tenacity.RetryCallState) -> float:
        answer = state.outcome.result() if state.outcome else None
        if answer is not None and answer.status == TOO_MANY_REQUESTS:
            return 0.0  # the limiter of the endpoint holds every thread back
        return float(2 ** (state.attempt_number - 1))

    def give_up(self, state: tenacity.RetryCallState) -> Answer:
        assert state.outcome is not None
        self._caller.is_down = True
        answer: Answer = state.outcome.result()
        return answer


def retry_after(answer: Answer, now: datetime) -> float:
    """How many seconds the destination wants us to wait, at least one."""
    text = next((v for k, v in answer.headers.items() if k.lower() == "retry-after"), "")
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(text) - now).total_seconds()
        except (ValueError, TypeError):
            seconds = 1.0
    return max(seconds, 1.0)


def _is_local(host: str | None) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host or "").is_loopback
    except ValueError:
        return False
