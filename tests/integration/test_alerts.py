"""What is told of a run that failed, and to whom."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from pydantic import SecretStr

from orchestration.alerts import FILE, RunFailure, tell
from orchestration.defs.automation import failed_runs_sensor
from orchestration.settings import Settings, get_settings

SECRET = "T0PSECRET"
FAILURE = RunFailure(
    run_id="run-1",
    job="warehouse_build",
    failed_at=datetime(2026, 7, 1, tzinfo=UTC),
    errors={"dbt_build": "orders: 1 row, such as email=mara@example.com"},
)


class Webhook:
    """A local webhook that answers as it is told to, and keeps what it was sent."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.received: list[dict[str, Any]] = []
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                webhook.received.append(json.loads(body))
                self.send_response(webhook.answers.pop(0) if webhook.answers else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *arguments: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = SecretStr(f"http://127.0.0.1:{self.server.server_address[1]}/{SECRET}")


@pytest.fixture
def webhook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Webhook]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    made = Webhook()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def settings_for(home: Path, webhook: Webhook | None = None) -> Settings:
    return Settings(home=home, failure_webhook_url=webhook.url if webhook else None)


def lines_of(home: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (home / FILE).read_text().splitlines()]


def test_every_failure_is_a_line_of_the_file(tmp_path: Path) -> None:
    """Prevents: a failure in the night of which nothing is left in the morning."""
    home = tmp_path / "home"
    for _ in range(2):
        assert tell(settings_for(home), FAILURE) == f"written to {home / FILE}"
    assert lines_of(home) == [FAILURE.to_line()] * 2
    assert (home / FILE).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("answers", "requests", "words"),
    [
        ([], 1, "the webhook was told"),
        ([503, 429], 3, "the webhook was told"),
        ([500, 500, 500], 3, "the webhook answered 500"),
        ([404], 1, "the webhook answered 404"),
    ],
)
def test_a_webhook_is_told_again_only_when_that_may_help(
    tmp_path: Path, webhook: Webhook, answers: list[int], requests: int, words: str
) -> None:
    """Prevents: a failure that goes untold because of a hiccup, and a webhook that is flooded."""
    webhook.answers = answers
    told = tell(settings_for(tmp_path, webhook), FAILURE, first_wait_seconds=0)
    assert told.endswith(f"; {words}")
    assert len(webhook.received) == requests
    assert webhook.received[0]["steps"] == ["dbt_build"]
    assert lines_of(tmp_path) == [FAILURE.to_line()]


def test_neither_the_address_nor_a_customer_leaks(
    tmp_path: Path, webhook: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    """Prevents: a log that holds the webhook's secret, and a chat room that holds customers."""
    settings = settings_for(tmp_path, webhook)
    with caplog.at_level(logging.DEBUG):
        told = [tell(settings, FAILURE, first_wait_seconds=0)]
        webhook.answers = [404]
        told.append(tell(settings, FAILURE, first_wait_seconds=0))
    assert SECRET not in caplog.text + str(told) + repr(settings) + (tmp_path / FILE).read_text()
    assert "mara" not in json.dumps(webhook.received)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/hook", "not an address", "http://[::1"])
def test_telling_never_fails_itself(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents: a sensor that stops for good because nobody listens, or the disk is full."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    (tmp_path / "file").write_text("")
    settings = Settings(home=tmp_path / "file", failure_webhook_url=SecretStr(url))
    told = tell(settings, FAILURE, first_wait_seconds=0)
    assert "cannot be written" in told
    assert "the webhook was not reached" in told


def test_a_failed_run_is_told_and_an_interrupted_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents: a sensor that misses failures, or wakes people who pressed Ctrl-C themselves."""

    @dg.op
    def broken() -> None:
        raise ValueError("the disk of the shop is full")

    @dg.job
    def warehouse_build() -> None:
        broken()

    monkeypatch.setenv("JOURNEY_HOME", str(tmp_path))
    sensor = failed_runs_sensor(get_settings())
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
    with dg.DagsterInstance.ephemeral() as instance:
        result = warehouse_build.execute_in_process(instance=instance, raise_on_error=False)
        event = next(one for one in result.all_events if one.is_job_failure)
        context = dg.build_run_status_sensor_context(
            sensor_name="failed_runs",
            dagster_instance=instance,
            dagster_run=result.dagster_run,
            dagster_event=event,
        ).for_run_failure()
        sensor(context)
        (line,) = lines_of(tmp_path)
        assert line["errors"] == {"broken": "the disk of the shop is full"}
        monkeypatch.setattr("orchestration.defs.automation.is_interrupt", lambda event: True)
        sensor(context)
    assert len(lines_of(tmp_path)) == 1
