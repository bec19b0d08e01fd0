"""Klaviyo, Shopify and a webhook on one local server, as strict as they are, and worse on demand.

What it enforces: windows of a second and a minute with 429 and Retry-After; the first of a repeated
`unique_id` kept on the endpoint for single events; a whole bulk job failing on a repeated one; at
most 1,000 events and 5 MB per job; headers, revision and the shape of every event; 202 that only
means accepted, and a job to look after; at most 1,000 members per request to a list, all known.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import sys
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, Self

import orjson

KLAVIYO_KEY, SHOPIFY_TOKEN, WEBHOOK_SECRET = "pk_test", "shpat_test", "whsec_test"
REVISION, JSON_API = "2026-07-15", "application/vnd.api+json"
MOST_EVENTS, MOST_BYTES = 1_000, 5_000_000
MOST_MEMBERS = 1_000
DISCOUNTS = ("discountCodeBasicCreate", "discountCodeFreeShippingCreate")
LONGEST_STRING, MOST_PROPERTIES = 100_000, 400

Failure = Literal[
    "drop_before", "drop_after", "error_before", "error_after", "stall", "garbage", "busy"
]
Windows = Mapping[str, tuple[int, int]]
Plan = Callable[[int, str], Failure | None]
Reply = tuple[int, object]

REAL_WINDOWS: Windows = {
    "events": (350, 3_500),
    "jobs": (10, 150),
    "job_status": (10, 150),
    "profiles": (75, 750),
    "lists": (10, 150),
}


@dataclass
class Job:
    """A bulk job: taken, and worked on after some more requests."""

    events: list[dict[str, Any]]
    due_at: int
    status: str = "queued"
    errors: list[str] = field(default_factory=list)


class Destinations:
    """The server and everything that it was told; use it as a context.

    Args:
        windows: most requests per second and minute of each endpoint; none are limited otherwise.
        plan: given the number of a request and its endpoint, how that one fails.
        job_delay: requests that come before a job is worked on.
        before_answer: called with the number of the request when its work is done.
    """

    def __init__(
        self,
        windows: Windows | None = None,
        plan: Plan = lambda _number, _endpoint: None,
        job_delay: int = 0,
        before_answer: Callable[[int], None] = lambda _number: None,
    ) -> None:
        self.windows = dict(windows or {})
        self.plan = plan
        self.job_delay = job_delay
        self.before_answer = before_answer
        self.patience = {"Retry-After": "2"}
        """What it asks for when it is busy."""
        self.requests = 0
        self.per_endpoint: Counter[str] = Counter()
        self.times: dict[str, list[float]] = defaultdict(list)
        self.too_many = 0
        self.events: dict[str, dict[str, Any]] = {}
        self.recordings: Counter[str] = Counter()
        """How often each event was recorded: more than once would be a bug of this server."""
        self.repeats: Counter[str] = Counter()
        """Repeats that the endpoint for single events took without a word."""
        self.backfilled: set[str] = set()
        self.poison: set[str] = set()
        """Unique ids of events that are refused."""
        self.jobs: dict[str, Job] = {}
        self.profiles: dict[str, str] = {}
        self.vanished: set[str] = set()
        """E-mails of profiles that are gone when a list is to have them."""
        self.lists: dict[str, set[str]] = defaultdict(set)
        self.moves: list[tuple[str, str, int]] = []
        """Every request to a list that was obeyed: its method, the list and how many members."""
        self.codes: dict[str, dict[str, Any]] = {}
        self.receipts: Counter[str] = Counter()
        self.forgotten: Counter[str] = Counter()
        self.bodies: dict[str, bytes] = {}
        self.errors: list[Exception] = []
        self._begun: dict[str, deque[float]] = defaultdict(deque)
        self._lock = threading.RLock()
        self._released = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.destinations = self
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        if self.errors:
            raise ExceptionGroup("the server of the test failed", self.errors)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def environment(self) -> dict[str, str]:
        """The variables that connect every tenant to this server."""
        return {
            "KLAVIYO_BASE_URL": self.url,
            "KLAVIYO_API_KEY": KLAVIYO_KEY,
            "SHOPIFY_BASE_URL": self.url,
            "SHOPIFY_ACCESS_TOKEN": SHOPIFY_TOKEN,
            "WEBHOOK_URL": f"{self.url}/hook",
            "WEBHOOK_SECRET": WEBHOOK_SECRET,
        }

    def finish_jobs(self) -> None:
        """Work on everything that waits."""
        with self._lock:
            for job in self.jobs.values():
                self._work_on(job)

    def members(self, list_id: str) -> set[str]:
        """The e-mails of a list's members."""
        emails = {profile_id: email for email, profile_id in self.profiles.items()}
        return {emails[profile_id] for profile_id in self.lists[list_id]}

    @property
    def failed_jobs(self) -> list[Job]:
        """Jobs of which nothing was recorded."""
        return [job for job in self.jobs.values() if job.status == "failed"]

    def handle(self, handler: _Handler, method: str) -> None:
        """Answer one request, or fail as planned."""
        length = int(handler.headers.get("content-length") or 0)
        body = handler.rfile.read(length)
        endpoint = _endpoint(handler.path)
        with self._lock:
            self.requests += 1
            number = self.requests
            self.per_endpoint[endpoint] += 1
            self.times[endpoint].append(time.monotonic())
            for job in self.jobs.values():
                if number > job.due_at:
                    self._work_on(job)
        failure = self.plan(number, endpoint)
        if failure == "stall":
            self._released.wait()
            handler.hang_up()
        elif failure == "drop_before":
            handler.hang_up()
        elif failure == "error_before":
            handler.answer(500, {"errors": [{"detail": "internal error"}]})
        elif failure == "busy":
            handler.answer(503, {"errors": [{"detail": "come back"}]}, self.patience)
        else:
            with self._lock:
                wait = self._seconds_to_wait(endpoint)
                status, reply = (
                    (429, {"errors": [{"detail": "slow down"}]})
                    if wait
                    else self._work(method, handler, endpoint, body)
                )
            self.before_answer(number)
            if failure == "drop_after":
                handler.hang_up()
            elif failure == "error_after":
                handler.answer(503, {"errors": [{"detail": "came too late"}]})
            elif failure == "garbage":
                handler.garbage()
            else:
                handler.answer(status, reply, {"Retry-After": str(wait)} if wait else {})

    def _seconds_to_wait(self, endpoint: str) -> int:
        if endpoint not in self.windows:
            return 0
        now = time.monotonic()
        begun = self._begun[endpoint]
        while begun and begun[0] <= now - 60:
            begun.popleft()
        per_second, per_minute = self.windows[endpoint]
        if len(begun) >= per_minute:
            self.too_many += 1
            return math.ceil(begun[0] + 60 - now) or 1
        if sum(one > now - 1 for one in list(begun)[-per_second:]) >= per_second:
            self.too_many += 1
            return 1
        begun.append(now)
        return 0

    def _work(self, method: str, handler: _Handler, endpoint: str, body: bytes) -> Reply:
        headers = handler.headers
        if endpoint == "webhook":
            return self._hook(headers, body)
        if endpoint == "graphql":
            return self._discount(headers, body)
        if headers.get("authorization") != f"Klaviyo-API-Key {KLAVIYO_KEY}":
            return _refuse(401, "wrong key")
        if headers.get("revision") != REVISION:
            return _refuse(400, f"revision {headers.get('revision')} is unknown")
        if headers.get("content-type") != JSON_API:
            return _refuse(415, f"send {JSON_API}")
        if endpoint == "job_status":
            return self._job(handler.path.rsplit("/", 1)[1])
        try:
            document = orjson.loads(body)["data"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return _refuse(400, "the body is no document")
        if endpoint == "events":
            return self._event(document)
        if endpoint == "jobs":
            return self._bulk(document, len(body))
        if endpoint == "deletions":
            ((kind, address),) = document["attributes"]["profile"]["data"]["attributes"].items()
            if kind not in ("email", "phone_number"):
                return _refuse(400, f"nobody is known by {kind}")
            self.forgotten[address] += 1
            return 202, None
        if endpoint == "profiles":
            email = document["attributes"]["email"]
            profile_id = self.profiles.setdefault(email, f"profile-{len(self.profiles) + 1}")
            return 200, {"data": {"type": "profile", "id": profile_id}}
        if endpoint == "lists":
            return self._members(method, handler.path.split("/")[3], document)
        return _refuse(404, "no such resource")

    def _event(self, document: dict[str, Any]) -> Reply:
        attributes = document.get("attributes", {})
        if problem := self._problem(document, attributes.get("profile")):
            return _refuse(400, problem)
        unique_id = attributes["unique_id"]
        if unique_id in self.events:
            self.repeats[unique_id] += 1
        else:
            self._keep(attributes, bool(attributes.get("backfill")))
        return 202, None

    def _bulk(self, document: dict[str, Any], size: int) -> Reply:
        if size > MOST_BYTES:
            return _refuse(413, f"the request has {size} bytes, of at most {MOST_BYTES}")
        entries = document["attributes"]["events-bulk-create"]["data"]
        if not 0 < len(entries) <= MOST_EVENTS:
            return _refuse(400, f"{len(entries)} events, of at most {MOST_EVENTS}")
        events = []
        for place, entry in enumerate(entries):
            attributes = entry["attributes"]
            for event in attributes["events"]["data"]:
                if problem := self._problem(event, attributes.get("profile")):
                    return _refuse(400, f"event {place}: {problem}")
                whole = {**event["attributes"], "profile": attributes["profile"]}
                events.append({**whole, "backfill": bool(attributes.get("backfill"))})
        name = f"job-{len(self.jobs) + 1}"
        job = Job(events, self.requests + self.job_delay)
        self.jobs[name] = job
        if self.job_delay == 0:
            self._work_on(job)
        return 202, {"data": {"type": "event-bulk-create-job", "id": name}}

    def _problem(self, event: dict[str, Any], profile: Any) -> str | None:
        if event.get("attributes", {}).get("unique_id") in self.poison:
            return "this event is refused"
        return _event_problem(event, profile)

    def _work_on(self, job: Job) -> None:
        if job.status != "queued":
            return
        ids = [event["unique_id"] for event in job.events]
        repeated = {one for one in ids if one in self.events}
        repeated |= {one for one, count in Counter(ids).items() if count > 1}
        if repeated:
            job.status = "failed"
            job.errors = [f"unique_id {one} is repeated" for one in sorted(repeated)[:5]]
        else:
            job.status = "complete"
            for event in job.events:
                self._keep(event, event["backfill"])
        job.events = [] if job.status == "complete" else job.events

    def _keep(self, attributes: dict[str, Any], is_backfill: bool) -> None:
        unique_id = attributes["unique_id"]
        self.events[unique_id] = attributes
        self.recordings[unique_id] += 1
        if is_backfill:
            self.backfilled.add(unique_id)

    def _job(self, name: str) -> Reply:
        job = self.jobs.get(name)
        if job is None:
            return _refuse(404, f"no job {name}")
        status = "processing" if job.status == "queued" else job.status
        attributes = {"status": status, "failed_count": 0}
        reply: dict[str, Any] = {"data": {"id": name, "attributes": attributes}}
        if job.errors:
            reply["errors"] = [{"detail": one} for one in job.errors]
        return 200, reply

    def _members(self, method: str, list_id: str, members: list[dict[str, str]]) -> Reply:
        ids = {member["id"] for member in members}
        if not 0 < len(members) <= MOST_MEMBERS:
            return _refuse(400, f"{len(members)} members, of at most {MOST_MEMBERS}")
        if len(ids) < len(members):
            return _refuse(400, "a member stands there twice")
        known = {one for email, one in self.profiles.items() if email not in self.vanished}
        if unknown := ids - known:
            return _refuse(404, f"no profile {sorted(unknown)[0]}")
        self.moves.append((method, list_id, len(members)))
        if method == "POST":
            self.lists[list_id] |= ids
        else:
            self.lists[list_id] -= ids
        return 204, None

    def _discount(self, headers: Any, body: bytes) -> Reply:
        if headers.get("x-shopify-access-token") != SHOPIFY_TOKEN:
            return _refuse(401, "wrong token")
        document = orjson.loads(body)
        discount = document["variables"]["discount"]
        name = next(one for one in DISCOUNTS if one in document["query"])
        problems = []
        if discount["code"].upper() in self.codes:
            problems.append({"field": ["code"], "code": "TAKEN", "message": "Code must be unique"})
        percentage = discount.get("customerGets", {}).get("value", {}).get("percentage")
        if percentage is not None and not 0 < percentage <= 1:
            message = "Value must be between 0 and 1"
            problems.append({"field": ["percentage"], "code": "INVALID", "message": message})
        if not problems:
            self.codes[discount["code"].upper()] = discount
        node = None if problems else {"id": f"gid://shopify/DiscountCodeNode/{len(self.codes)}"}
        return 200, {"data": {name: {"codeDiscountNode": node, "userErrors": problems}}}

    def _hook(self, headers: Any, body: bytes) -> Reply:
        message_id = headers.get("x-journey-message-id", "")
        signed = f"{headers.get('x-journey-timestamp')}.{message_id}.".encode() + body
        proof = hmac.new(WEBHOOK_SECRET.encode(), signed, hashlib.sha256).hexdigest()
        if headers.get("x-journey-signature") != f"sha256={proof}":
            return _refuse(401, "wrong signature")
        self.receipts[message_id] += 1
        self.bodies[message_id] = body
        return 204, None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    destinations: Destinations

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed is no news; everything else fails the test."""
        error = sys.exception()
        if isinstance(error, Exception) and not isinstance(error, OSError):
            self.destinations.errors.append(error)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def do_POST(self) -> None:
        self.server.destinations.handle(self, "POST")

    def do_GET(self) -> None:
        self.server.destinations.handle(self, "GET")

    def do_DELETE(self) -> None:
        self.server.destinations.handle(self, "DELETE")

    def answer(self, status: int, reply: object, headers: Mapping[str, str] | None = None) -> None:
        body = b"" if reply is None else orjson.dumps(reply)
        self.send_response_only(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if status != 204:
            self.wfile.write(body)
        self.wfile.flush()

    def garbage(self) -> None:
        self.wfile.write(b"\x00\x01 this is no answer\r\n\r\n")
        self.wfile.flush()
        self.close_connection = True

    def hang_up(self) -> None:
        self.close_connection = True
        self.connection.close()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _endpoint(path: str) -> str:
    if path == "/api/events":
        return "events"
    if path == "/api/event-bulk-create-jobs":
        return "jobs"
    if path.startswith("/api/event-bulk-create-jobs/"):
        return "job_status"
    if path == "/api/data-privacy-deletion-jobs":
        return "deletions"
    if path == "/api/profile-import":
        return "profiles"
    if path.startswith("/api/lists/") and path.endswith("/relationships/profiles"):
        return "lists"
    if path.endswith("/graphql.json"):
        return "graphql"
    return "webhook" if path == "/hook" else "nothing"


def _event_problem(event: dict[str, Any], profile: Any) -> str | None:
    """What is wrong with an event, in the order in which it is looked at."""
    try:
        attributes = event["attributes"]
        if event["type"] != "event" or profile["data"]["type"] != "profile":
            return "wrong type"
        if not attributes["metric"]["data"]["attributes"]["name"]:
            return "the metric has no name"
        person = profile["data"].get("id") or profile["data"]["attributes"].get("email")
        if not person or (profile["data"].get("id") is None and "@" not in person):
            return f"the profile {person!r} has no id or e-mail"
        if not attributes["unique_id"]:
            return "no unique_id"
        if datetime.fromisoformat(attributes["time"]).year <= 2000:
            return "time is before 2001"
        properties = attributes["properties"]
    except (KeyError, TypeError, ValueError) as error:
        return f"{type(error).__name__} {error}"
    if len(properties) > MOST_PROPERTIES:
        return "too many properties"
    for value in properties.values():
        if isinstance(value, str) and len(value) > LONGEST_STRING:
            return "a string is too long"
    return None


def _refuse(status: int, problem: str) -> Reply:
    return status, {"errors": [{"detail": problem}]}
