"""The dashboard as a web application: addresses, logins, and pages that say what happened."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jinja2
import sqlalchemy
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orchestration.dashboard.access import (
    OPERATOR,
    SESSION_SECONDS,
    Session,
    Sessions,
    read_tokens,
    scope_of,
)
from orchestration.dashboard.formats import Look, in_words
from orchestration.dashboard.paging import Turned
from orchestration.dashboard.panels import PAGES_DIR, Broken, Page, Panel, load_pages
from orchestration.dashboard.reading import (
    LastBuild,
    Unanswered,
    ask,
    dashboard_engine,
    last_build,
    reading_for,
)
from orchestration.dashboard.views import PanelView, answer_panel
from orchestration.ingest.tenants import Tenant, read_tenants
from orchestration.settings import SEEDS_DIR, Settings
from orchestration.warehouse.errors import DatabaseUnavailable, JourneyError

HERE = Path(__file__).parent
COOKIE = "journey_session"
HOSTS = ("127.0.0.1", "localhost", "::1")
CUSTOMERS = (2, "customers", "Customers")
"""Place, name and title of the page that is no list of panels."""
LARGEST_FORM_BYTES = 4_096
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # not no-referrer, with which browsers hide the origin of our own forms
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}

log = logging.getLogger("journey.dashboard")


@dataclass
class Dashboard:
    """What the pages are made from."""

    settings: Settings
    tenants_file: Path = SEEDS_DIR / "tenants.csv"
    pages_dir: Path = PAGES_DIR
    sessions: Sessions = field(default_factory=Sessions)

    def __post_init__(self) -> None:
        self._database: sqlalchemy.Engine | None = None
        self.pages = load_pages(self.pages_dir)
        self.templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.templates.filters["in_words"] = in_words

    @property
    def database(self) -> sqlalchemy.Engine:
        """The warehouse, as the dashboard's own role sees it.

        Raises:
            DatabaseUnavailable: there is none yet.
        """
        if self._database is None:
            self._database = dashboard_engine(self.settings)
        return self._database

    def forget_database(self) -> None:
        """Look up the address anew at the next visit: a restarted server may have moved."""
        if self._database is not None:
            self._database.dispose()
            self._database = None

    def tenants(self) -> dict[str, Tenant]:
        """The tenants as the seed lists them now."""
        return read_tenants(self.tenants_file)

    def session(self, request: Request) -> Session | None:
        """Who asks, if they are logged in."""
        return self.sessions.find(request.cookies.get(COOKIE), read_tokens(self.settings))

    def navigation(self) -> list[tuple[str, str]]:
        """Names and titles of the pages, as the reader finds them."""
        listed = [
            (page.order, page.name, page.title)
            for page in self.pages.values()
            if page.order is not None
        ]
        return [(name, title) for _, name, title in sorted([*listed, CUSTOMERS])]

    def render(self, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """A page as HTML."""
        return HTMLResponse(self.templates.get_template(template).render(**values), status)

    def say(self, status: int, title: str, words: str, way_out: str = "") -> HTMLResponse:
        """A page that says what happened."""
        return self.render("message.html", status, title=title, words=words, way_out=way_out)

    def check(self) -> list[str]:
        """Ask every panel, for the first tenant, and log what cannot be answered; returns it."""
        faults = [page.fault for page in self.pages.values() if page.fault]
        for page in self.pages.values():
            faults += [panel.cause for panel in page.panels if isinstance(panel, Broken)]
        try:
            faults += self._unanswered()
        except JourneyError as error:
            faults.append(str(error))
        for fault in faults:
            log.warning("%s", fault)
        return faults

    def _unanswered(self) -> list[str]:
        faults = []
        tenant = next(iter(self.tenants().values()), None)
        if tenant is None:
            return ["seeds/tenants.csv lists no tenant"]
        visit = Visit(self, tenant, Session(OPERATOR, b"", 0))
        with reading_for(self.database, tenant.tenant_id) as connection:
            found = last_build(connection)
            if found is None:
                return ["no build has succeeded yet: journey build"]
            for page in self.pages.values():
                for panel in page.panels:
                    view = answer_panel(
                        connection,
                        panel,
                        visit.parameters(found),
                        visit.look,
                        visit.root,
                        Turned(visit.root, {}),
                    )
                    if view.cause and not isinstance(panel, Broken):
                        faults.append(f"{page.name}, {view.title}: {view.cause}")
        return faults


@dataclass(frozen=True)
class Visit:
    """Somebody who may see a tenant, looking at it."""

    dashboard: Dashboard
    tenant: Tenant
    session: Session

    @property
    def root(self) -> str:
        """The address below which the tenant's pages stand."""
        return f"/t/{self.tenant.tenant_id}"

    @property
    def look(self) -> Look:
        """How values read for this tenant."""
        return Look(self.tenant.currency, self.tenant.time_zone)

    def parameters(self, build: LastBuild, customer_id: str = "") -> Mapping[str, Any]:
        """What queries may ask for."""
        return {
            "as_of": build.as_of,
            "time_zone": self.tenant.time_zone,
            "customer_id": customer_id,
        }

    def render(
        self,
        template: str,
        place: str,
        build: LastBuild | None,
        status: int = 200,
        **values: Any,
    ) -> Response:
        """A page of this tenant; `place` is the page that the navigation marks."""
        tenants = self.dashboard.tenants()
        visible = [one for one in tenants.values() if self.session.opens(one.tenant_id)]
        return self.dashboard.render(
            template,
            status,
            tenant=self.tenant,
            tenants=visible,
            root=self.root,
            place=place,
            navigation=self.dashboard.navigation(),
            as_of=self.look.instant(build.as_of) if build else None,
            look=self.look,
            **values,
        )


Handler = Callable[[Request, Visit], Response]


def make_app(dashboard: Dashboard) -> ASGIApp:
    """The application, with the guard in front of it."""
    from orchestration.dashboard import customers

    def visited(handler: Handler) -> Callable[[Request], Response]:
        return lambda request: _visit(dashboard, handler, request)

    app = Starlette(
        routes=[
            Route("/", lambda request: _home(dashboard, request)),
            Route("/login", lambda request: _open_login(dashboard, request)),
            Route("/login", _login_route(dashboard), methods=["POST"]),
            Route("/logout", lambda request: _logout(dashboard, request), methods=["POST"]),
            Mount("/static", StaticFiles(directory=HERE / "static")),
            Route("/t/{tenant}", visited(_first_page)),
            Route("/t/{tenant}/customers.csv", visited(customers.export)),
            Route("/t/{tenant}/customers", visited(customers.search)),
            Route("/t/{tenant}/customers/{customer_id}", visited(customers.person)),
            Route("/t/{tenant}/{page}", visited(_page)),
        ],
        exception_handlers={
            HTTPException: lambda request, error: _refused(dashboard, error),
            JourneyError: lambda request, error: _unable(dashboard, error),
            Exception: lambda request, error: _failed(dashboard, error),
        },
    )
    return Guard(app)


class Guard:
    """Answers only who asks for this machine by its own name, and sends the headers with all."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, unless its Host header or origin belongs to somebody else."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [
                    (name, value)
                    for name, value in message["headers"]
                    if name.lower() != b"cache-control"
                ]
                headers += [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message = {**message, "headers": headers}
            await send(message)

        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        refusal = _refusal(scope["method"], headers.get(b"host", ""), headers.get(b"origin"))
        if refusal is None:
            await self._app(scope, receive, send_with_headers)
        else:
            await PlainTextResponse(refusal, 403)(scope, receive, send_with_headers)


def _refusal(method: str, host: str, origin: str | None) -> str | None:
    """Why a request is not meant for us, or was sent by another site; None when it is fine."""
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        name = None
    if name not in HOSTS:
        return "The Host header names another machine. Open http://127.0.0.1 instead."
    if method not in ("GET", "HEAD") and origin not in (None, f"http://{host}"):
        return "Another site sent this form."
    return None


def _visit(dashboard: Dashboard, handler: Handler, request: Request) -> Response:
    session = dashboard.session(request)
    if session is None:
        return RedirectResponse("/login", 303)
    tenant_id = request.path_params["tenant"]
    tenant = dashboard.tenants().get(tenant_id)
    # who may not see a tenant does not learn whether there is one
    if tenant is None or not session.opens(tenant_id):
        raise HTTPException(404)
    return handler(request, Visit(dashboard, tenant, session))


def _home(dashboard: Dashboard, request: Request) -> Response:
    session = dashboard.session(request)
    if session is None:
        return RedirectResponse("/login", 303)
    for tenant_id in dashboard.tenants():
        if session.opens(tenant_id):
            return RedirectResponse(f"/t/{tenant_id}/overview", 303)
    return dashboard.say(
        404,
        "There is no tenant to show",
        "The list of tenants does not name the one that this login opens.",
        "Add it to seeds/tenants.csv, then: journey build",
    )


def _open_login(dashboard: Dashboard, request: Request) -> Response:
    token = request.query_params.get("token")
    if token is None:
        return dashboard.render("login.html", wrong=False)
    return _log_in(dashboard, token)


def _login_route(dashboard: Dashboard) -> Callable[[Request], Any]:
    async def post(request: Request) -> Response:
        from starlette.concurrency import run_in_threadpool

        body = b""
        async for piece in request.stream():
            body += piece
            if len(body) > LARGEST_FORM_BYTES:
                raise HTTPException(413)
        fields = parse_qs(body.decode("utf-8", "replace"))
        token = fields.get("token", [""])[0].strip()
        return await run_in_threadpool(_log_in, dashboard, token)

    return post


def _log_in(dashboard: Dashboard, token: str) -> Response:
    scope = scope_of(read_tokens(dashboard.settings), token)
    if scope is None:
        log.warning("a login with an unknown token was refused")
        return dashboard.render("login.html", 403, wrong=True)
    response = RedirectResponse("/", 303)
    response.set_cookie(
        COOKIE,
        dashboard.sessions.open(scope, token),
        max_age=SESSION_SECONDS,
        httponly=True,
        samesite="strict",
    )
    return response


def _logout(dashboard: Dashboard, request: Request) -> Response:
    dashboard.sessions.close(request.cookies.get(COOKIE))
    response = RedirectResponse("/login", 303)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return response


def _first_page(request: Request, visit: Visit) -> Response:
    return RedirectResponse(f"{visit.root}/overview", 303)


def _page(request: Request, visit: Visit) -> Response:
    page = visit.dashboard.pages.get(request.path_params["page"])
    if page is None or page.order is None:
        raise HTTPException(404)
    with reading_for(visit.dashboard.database, visit.tenant.tenant_id) as connection:
        build = find_build(connection)
        turned = read_turned(page, f"{visit.root}/{page.name}", request)
        panels = [] if build is None else answer_page(connection, page, visit, build, turned)
    return show_page(visit, "page.html", page.name, build, page, panels)


def read_turned(page: Page, path: str, request: Request) -> Turned:
    """How far the address turns the lists of a page; what else it says is left out."""
    keys = {panel.key for panel in page.panels if isinstance(panel, Panel) and panel.page_by}
    asked = request.query_params
    return Turned(path, {key: asked[key] for key in sorted(keys) if asked.get(key)})


def answer_page(
    connection: sqlalchemy.Connection,
    page: Page,
    visit: Visit,
    build: LastBuild,
    turned: Turned,
    customer_id: str = "",
) -> list[PanelView]:
    """The answers to the panels of a page, about a customer where it is theirs."""
    parameters = visit.parameters(build, customer_id)
    return [
        answer_panel(connection, panel, parameters, visit.look, visit.root, turned)
        for panel in page.panels
    ]


def show_page(
    visit: Visit,
    template: str,
    place: str,
    build: LastBuild | None,
    page: Page,
    panels: Sequence[PanelView],
    **values: Any,
) -> Response:
    """A declared page with its panels; the log hears why it or a panel cannot be shown."""
    if page.fault:
        log.warning("%s", page.fault)
    for panel in panels:
        if panel.cause:
            log.warning("%s, %s: %s", page.name, panel.title, panel.cause)
    status = 400 if any(panel.is_astray for panel in panels) else 200
    return visit.render(template, place, build, status, page=page, panels=panels, **values)


def find_build(connection: sqlalchemy.Connection) -> LastBuild | None:
    """What the marts describe; None when nothing was built, or our own tables are not there."""
    answer = ask(connection, "select 1 from ops.builds limit 1", {})
    return None if isinstance(answer, Unanswered) else last_build(connection)


def _refused(dashboard: Dashboard, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    title, words = {
        404: ("There is no such page", "The address is wrong, or not for this login."),
        405: ("That cannot be done here", "The address takes another kind of request."),
        413: ("That is too much", "The form holds more than a token."),
    }.get(status, ("This cannot be shown", "The request was not understood."))
    return dashboard.say(status, title, words)


def _unable(dashboard: Dashboard, error: Exception) -> Response:
    log.error("%s", error)
    dashboard.forget_database()
    if isinstance(error, DatabaseUnavailable):
        title, way_out = "The database does not answer", "Start it with: journey up"
    else:
        title, way_out = "There is nothing to show now", "journey doctor tells how to mend it."
    return dashboard.say(
        503, title, "Nothing is lost; there is just nobody to ask for the numbers now.", way_out
    )


def _failed(dashboard: Dashboard, error: Exception) -> Response:
    log.error("a page failed", exc_info=error)
    return dashboard.say(
        500,
        "This page failed",
        "That is a fault of the dashboard, not yours.",
        f"Its log names the cause: {dashboard.settings.logs / 'journey-dashboard.log'}",
    )
