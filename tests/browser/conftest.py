"""A dashboard that is really served, and a browser that looks at it.

`address`  where the dashboard of a built warehouse answers
`login`    the address that logs the operator in
`browser`  Debian's Chromium, without a screen
`opened`   opens a page that is logged in, of a given width and colour scheme
"""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, sync_playwright

from orchestration.build import BuildReport
from orchestration.dashboard.access import token_for
from orchestration.dashboard.app import Dashboard, make_app
from orchestration.settings import Settings, get_settings
from orchestration.warehouse.postgres import EmbeddedServer
from tests.conftest import BUILT_TEMPLATE, environment, fresh_database, set_environment

SILENT = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WIDE, NARROW = 1_440, 390

Opened = Callable[[int, str], Page]


@pytest.fixture(scope="session")
def served(
    server: EmbeddedServer,
    warehouse: tuple[Path, BuildReport],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Settings, str]]:
    """The settings of a built warehouse, and where its dashboard answers."""
    home = tmp_path_factory.mktemp("served") / "home"
    home.mkdir()
    with pytest.MonkeyPatch.context() as monkeypatch:
        for database_url in fresh_database(server, BUILT_TEMPLATE):
            set_environment(monkeypatch, **environment(server, home, database_url))
            settings = get_settings()
            dashboard = Dashboard(settings)
            with socket.create_server(("127.0.0.1", 0)) as listener:
                configuration = uvicorn.Config(make_app(dashboard), log_level="warning")
                program = uvicorn.Server(configuration)
                thread = Thread(target=program.run, args=([listener],))
                thread.start()
                yield settings, f"http://127.0.0.1:{listener.getsockname()[1]}"
                program.should_exit = True
                thread.join()
            dashboard.forget_database()


@pytest.fixture(scope="session")
def address(served: tuple[Settings, str]) -> str:
    return served[1]


@pytest.fixture(scope="session")
def login(served: tuple[Settings, str]) -> str:
    settings, address = served
    return f"{address}/login?token={token_for(settings)}"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=list(SILENT)
        )
        yield opened
        opened.close()


@pytest.fixture
def opened(browser: Browser, login: str, address: str) -> Iterator[Opened]:
    """Opens pages; whatever they say on the console, or ask of another host, fails the test."""
    contexts, complaints = [], []

    def open_page(width: int, scheme: str) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,  # type: ignore[arg-type]
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        # what was under way when the page was left is no complaint
        page.on(
            "requestfailed",
            lambda request: (
                None
                if request.failure == "net::ERR_ABORTED"
                else complaints.append(f"failed: {request.url}")
            ),
        )
        page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith(f"{address}/")
                else complaints.append(f"left the machine: {request.url}")
            ),
        )
        page.goto(login)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not complaints, "\n".join(complaints)
