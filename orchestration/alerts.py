"""Telling of a run that failed: a line in a file, and a request to a webhook when one is named.

Whoever tells of failures must not fail: whatever goes wrong here becomes words.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from orchestration.settings import Settings
from orchestration.warehouse.storage import make_folder

FILE = "failures.jsonl"
ATTEMPTS, TIMEOUT_SECONDS, LONGEST_WAIT_SECONDS = 3, 5.0, 4.0
"""A sensor has a minute, which three time-outs and two waits leave room in."""


@dataclass(frozen=True)
class RunFailure:
    """A run that failed."""

    run_id: str
    job: str
    failed_at: datetime
    errors: Mapping[str, str]
    """The error of each step that failed by itself; '' stands for the run."""

    def to_line(self) -> dict[str, Any]:
        """The line of the file: everything that is known."""
        return {
            "failed_at": self.failed_at.isoformat(),
            "job": self.job,
            "run_id": self.run_id,
            "errors": dict(self.errors),
        }

    def to_message(self) -> dict[str, Any]:
        """The body for the webhook, which names steps and no rows: errors may quote customers."""
        steps = ", ".join(filter(None, self.errors)) or "its start"
        return {
            "text": f"{self.job} failed in {steps}. See why: journey status, or {FILE}",
            "failed_at": self.failed_at.isoformat(),
            "job": self.job,
            "run_id": self.run_id,
            "steps": [step for step in self.errors if step],
        }


def tell(settings: Settings, failure: RunFailure, first_wait_seconds: float = 1.0) -> str:
    """Tell of a failed run; returns in words what became of it, and never raises.

    Args:
        settings: where the home is, and the webhook.
        failure: what happened.
        first_wait_seconds: before the second attempt at the webhook; doubled before the third.
    """
    told = [_append(settings.home / FILE, failure)]
    if settings.failure_webhook_url is not None:
        url = settings.failure_webhook_url.get_secret_value()
        told.append(_post(url, failure, first_wait_seconds))
    return "; ".join(told)


def _append(file: Path, failure: RunFailure) -> str:
    try:
        make_folder(file.parent)
        line = json.dumps(failure.to_line(), ensure_ascii=False) + "\n"
        descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "ab") as opened:
            opened.write(line.encode())
    except Exception as error:
        return f"{file} cannot be written: {error}"
    return f"written to {file}"


def _post(url: str, failure: RunFailure, first_wait_seconds: float) -> str:
    """Post to the webhook, again when it may help; the words never repeat the address."""
    import httpx
    import tenacity

    def may_pass(response: httpx.Response) -> bool:
        return response.status_code == 429 or response.status_code >= 500

    attempts = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(httpx.TransportError)
        | tenacity.retry_if_result(may_pass),
        stop=tenacity.stop_after_attempt(ATTEMPTS),
        wait=tenacity.wait_exponential(first_wait_seconds, max=LONGEST_WAIT_SECONDS),
        retry_error_callback=lambda state: state.outcome and state.outcome.result(),
    )
    try:
        with _without_a_log("httpx"), httpx.Client(timeout=TIMEOUT_SECONDS) as client:
            response = attempts(client.post, url, json=failure.to_message())
    except Exception as error:
        return f"the webhook was not reached ({type(error).__name__})"
    if not response.is_success:
        return f"the webhook answered {response.status_code}"
    return "the webhook was told"


@contextmanager
def _without_a_log(name: str) -> Iterator[None]:
    """The library logs each request with its whole address, of which a part is the secret."""
    logger = logging.getLogger(name)
    before = logger.disabled
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = before
