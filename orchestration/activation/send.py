"""The live delivery: what the latest build wants sent leaves the machine, each message once.

The states of a message, and why a kill at any instant does no harm, stand in `outbox.py`; what is
asked in the moment before sending, in `checks.py`. Here is the order of things: first what is
unknown, one by one; then page after page of what is due, in bulk where the destination can.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import sqlalchemy

from orchestration.activation import checks, outbox, switches
from orchestration.activation.caller import Caller, account_of
from orchestration.activation.deliver import require_tenant
from orchestration.activation.destinations import DESTINATIONS
from orchestration.activation.destinations.base import (
    ACCEPTED,
    Bulk,
    Destination,
    Outcome,
    judge,
)
from orchestration.activation.enrolment import enrol
from orchestration.activation.gate import GateClosed, require_fresh, require_success
from orchestration.activation.message import OUTPUTS, Message
from orchestration.activation.rates import Limits
from orchestration.settings import SEEDS_DIR, Settings
from orchestration.warehouse.builds import Build, BuildRunning, hold_still
from orchestration.warehouse.database import engine

PAGE = 1_000
CHUNK = 64
"""Messages sent one by one between two looks at the switches."""
THREADS = 8
"""Requests under way at once: a destination answers slower than it takes."""
SAMPLES = 3
JOB_PATIENCE_SECONDS = 600.0
FIRST_LOOK_SECONDS, LONGEST_LOOK_SECONDS = 0.5, 5.0


@dataclass
class SentPurpose:
    """What became of the messages of one purpose."""

    output: str
    destination: str
    purpose: str
    sent: int = 0
    backfilled: int = 0
    """Of those sent, how many were recorded without starting anything."""
    skipped: Counter[str] = field(default_factory=Counter)
    waiting: Counter[str] = field(default_factory=Counter)
    rejected: int = 0
    unknown: int = 0
    not_due: int = 0
    left: int = 0
    """Due, and not looked at: the run ended at its limit, or was stopped."""
    samples: list[str] = field(default_factory=list)
    """The first message ids that were sent."""

    def to_dict(self) -> dict[str, Any]:
        """The counts as plain values."""
        return {
            **self.__dict__,
            "skipped": dict(self.skipped),
            "waiting": dict(self.waiting),
        }


@dataclass
class SendReport:
    """What a live delivery did for a tenant."""

    build_id: UUID
    as_of: datetime
    tenant_id: str
    purposes: dict[tuple[str, str, str], SentPurpose] = field(default_factory=dict)
    held_out: int = 0
    """People of the tenant's campaigns who are held out, and hear nothing."""
    forgotten: int = 0
    """People whom a destination forgot, because they asked for it."""
    notes: list[str] = field(default_factory=list)
    """What was not done, and why."""
    is_complete: bool = True
    """False when the run stopped before its end."""

    def of(self, output: str) -> SendReport:
        """The part of one output."""
        own = {key: one for key, one in self.purposes.items() if key[0] == output}
        return replace(self, purposes=own)

    def total(self, what: str) -> int:
        """The sum of a count over all purposes."""
        counts = (getattr(one, what) for one in self.purposes.values())
        return sum(one.total() if isinstance(one, Counter) else int(one) for one in counts)

    def at(self, output: str, destination: str, purpose: str) -> SentPurpose:
        """The counts of a purpose."""
        key = (output, destination, purpose)
        return self.purposes.setdefault(key, SentPurpose(*key))

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values."""
        return {
            "build_id": str(self.build_id),
            "as_of": self.as_of.isoformat(),
            "tenant_id": self.tenant_id,
            "is_complete": self.is_complete,
            "held_out": self.held_out,
            "forgotten": self.forgotten,
            "notes": self.notes,
            "purposes": [one.to_dict() for one in self.purposes.values()],
        }


@dataclass(frozen=True)
class World:
    """What a delivery asks of the world around it; tests give their own."""

    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], None] = time.sleep
    limits: Mapping[str, Limits] | None = None
    """Instead of the limits of each destination."""
    timeout: float = 30.0


class _Stopped(Exception):
    """Nothing more is sent to this destination in this run."""


def send(
    settings: Settings,
    tenant_id: str,
    outputs: Sequence[str] = tuple(OUTPUTS),
    world: World | None = None,
) -> SendReport:
    """Send the tenant's messages that are due.

    Running it again, also after a kill, sends what is left; no message is accepted twice.

    Args:
        settings: where the warehouse is, and how to reach the destinations.
        tenant_id: whose messages.
        outputs: names from `OUTPUTS`.
        world: the clock and the patience; the real ones by default.

    Raises:
        GateClosed: the latest build does not vouch for messages, or is too old.
        BuildRunning: a build or load is changing what the checks read.
        DeliveryError: the tenant is not known.
        SendingError: somebody else sends for the tenant, or a purpose is not declared.
        NotConnectable: the address of a destination cannot be used.
    """
    require_tenant(tenant_id)
    database = engine(settings)
    try:
        with database.connect() as connection:
            with connection.begin():
                require_success(connection)
            with outbox.sending(connection, tenant_id):
                run = _Run(settings, connection, tenant_id, world or World())
                run.send(outputs)
                return run.report
    finally:
        database.dispose()


class _Run:
    """One delivery: the connection that holds the lock, and what was counted so far."""

    def __init__(
        self, settings: Settings, connection: sqlalchemy.Connection, tenant_id: str, world: World
    ) -> None:
        self._settings = settings
        self._connection = connection
        self._tenant_id = tenant_id
        self._world = world
        self._loaded = -1
        self._reached = 0
        self._was_stopped = False
        self._campaign_messages: Counter[str] = Counter()
        with connection.begin():
            self._build = self._require_gate()
            self._limits = checks.tenant_limits(connection, tenant_id)
        self._remaining = self._limits.max_messages_per_run
        self.report = SendReport(self._build.build_id, self._build.as_of, tenant_id)

    def send(self, outputs: Sequence[str]) -> None:
        """Send everything that is due, destination by destination as far as each goes."""
        with self._connection.begin():
            self._require_gate()
            outbox.settle_interrupted(self._connection, self._tenant_id, self._now())
            wanted = {
                output: outbox.require_declared(self._connection, output, self._tenant_id)
                for output in outputs
            }
            for output in outputs:
                outbox.skip_unwanted(self._connection, output, self._tenant_id, self._now())
        with ExitStack() as open_callers:
            callers: dict[str, Caller | None] = {}
            steps: list[tuple[str, Callable[[str, Caller], None]]] = [
                *((name, self._forget) for name in self._forgetful()),
                *(
                    (name, partial(self._deliver, output))
                    for output, destinations in wanted.items()
                    for name in sorted(destinations)
                ),
            ]
            for name, step in steps:
                if name not in callers:
                    callers[name] = self._open(name, open_callers)
                if (caller := callers[name]) is not None:
                    try:
                        step(name, caller)
                    except _Stopped as reason:
                        callers[name] = None
                        self._leave_off(f"{name}: {reason}")
        self._count_rest(outputs)
        # a run that reaches nobody is no success
        reached_somebody = self._reached > 0 or not any(wanted.values())
        self.report.is_complete = not self._was_stopped and reached_somebody

    def _enrol(self, destination: str) -> None:
        """Write down who takes part before any campaign writes to them."""
        with self._connection.begin():
            self.require_switched_on(destination)
            self.transaction()
            enrol(self._connection, self._build, self._tenant_id)

    def transaction(self) -> Mapping[str, Any]:
        """Values for the checks, read in the open transaction; builds are held off until its end.

        Raises:
            _Stopped: the build that vouched for the messages is not the latest any more.
        """
        try:
            hold_still(self._connection)
            build = self._require_gate()
        except (GateClosed, BuildRunning) as error:
            raise _Stopped(str(error)) from error
        if build.build_id != self._build.build_id:
            raise _Stopped("a newer build has come meanwhile; deliver again")
        loaded = checks.loaded_so_far(self._connection)
        if loaded != self._loaded:
            checks.read_unseen(self._connection, build, self._tenant_id)
            self._loaded = loaded
        now = self._now()
        campaigns = checks.read_campaigns(SEEDS_DIR, self._tenant_id, now, self._campaign_messages)
        return checks.parameters(self._tenant_id, now, self._limits, campaigns)

    def require_switched_on(self, destination: str) -> None:
        """Do nothing unless somebody stopped the tenant or the destination.

        Raises:
            _Stopped: somebody did.
        """
        switch = switches.switch_against(self._connection, self._tenant_id, destination)
        if switch is not None:
            raise _Stopped(
                f"stopped by hand since {switch.stopped_at:%Y-%m-%d %H:%M} UTC ({switch.reason})"
            )

    def room(self) -> int:
        """How many messages this run may still send."""
        return self._remaining

    def count_planned(self, output: str, page: Iterable[outbox.Decided]) -> None:
        """Count what was decided about a page."""
        for one in page:
            purpose = self.report.at(output, one.message.destination, one.message.purpose)
            if one.state == "skipped":
                purpose.skipped[one.reason or ""] += 1
            elif one.state == "waiting":
                purpose.waiting[one.reason or ""] += 1
            elif one.state == "intended":
                self._remaining -= 1
                if one.campaign_id is not None:
                    self._campaign_messages[one.campaign_id] += 1

    def record(self, output: str, outcomes: Sequence[tuple[Message, Outcome]]) -> None:
        """Write down outcomes, and count them."""
        if not outcomes:
            return
        with self._connection.begin():
            outbox.record(self._connection, outcomes, self._now())
        for message, outcome in outcomes:
            self.count(output, message, outcome)

    def count(self, output: str, message: Message, outcome: Outcome) -> None:
        """Count what became of a message."""
        purpose = self.report.at(output, message.destination, message.purpose)
        if outcome.state == "accepted":
            purpose.sent += 1
            purpose.backfilled += message.is_backfill
            if len(purpose.samples) < SAMPLES:
                purpose.samples.append(message.message_id)
        elif outcome.state == "waiting":
            purpose.waiting[outcome.reason or ""] += 1
        elif outcome.state == "rejected":
            purpose.rejected += 1
        else:
            purpose.unknown += 1

    @property
    def connection(self) -> sqlalchemy.Connection:
        """The connection that holds the lock."""
        return self._connection

    @property
    def build(self) -> Build:
        """The build that vouches for the messages."""
        return self._build

    @property
    def sleep(self) -> Callable[[float], None]:
        """How to wait."""
        return self._world.sleep

    def _require_gate(self) -> Build:
        build = require_success(self._connection)
        most = timedelta(hours=self._settings.max_build_age_hours)
        require_fresh(build, self._now(), most)
        return build

    def _now(self) -> datetime:
        return self._world.clock()

    def _open(self, name: str, callers: ExitStack) -> Caller | None:
        """A caller for the tenant's account; None when it is not connected."""
        destination, world = DESTINATIONS[name], self._world
        account = account_of(self._settings, destination, self._tenant_id)
        if account is None:
            needed = [destination.secret_variable]
            if destination.default_url is None:
                needed.append(destination.url_variable)
            self.report.notes.append(f"{name} is not connected: set {' and '.join(needed)}")
            return None
        self._reached += 1
        return callers.enter_context(
            Caller(
                account,
                clock=world.clock,
                sleep=world.sleep,
                limits=world.limits,
                timeout=world.timeout,
            )
        )

    def _deliver(self, output: str, name: str, caller: Caller) -> None:
        """Deliver an output to a destination."""
        if output == "winback":
            self._enrol(name)
        _Courier(self, output, DESTINATIONS[name], caller).deliver()

    def _forgetful(self) -> list[str]:
        """The destinations that have yet to forget somebody."""
        with self._connection.begin():
            return [
                name
                for name, destination in DESTINATIONS.items()
                if destination.knows_people
                and outbox.deletions(self._connection, self._tenant_id, name)
            ]

    def _forget(self, name: str, caller: Caller) -> None:
        """Let a destination forget people who asked for it; a repeat does no harm."""
        with self._connection.begin():
            self.require_switched_on(name)
            messages = outbox.deletions(self._connection, self._tenant_id, name)
        for message in messages:
            outcome = send_one(DESTINATIONS[name], caller, message)
            if outcome.state == "accepted":
                with self._connection.begin():
                    outbox.drop_deletions(self._connection, [message.message_id])
                self.report.forgotten += 1
            elif outcome.must_stop or caller.is_down:
                raise _Stopped(outcome.reason)
            else:
                self._leave_off(f"{name} has not forgotten {message.message_id}: {outcome.reason}")

    def _leave_off(self, note: str) -> None:
        self._was_stopped = True
        self.report.notes.append(note)

    def _count_rest(self, outputs: Sequence[str]) -> None:
        if self._remaining <= 0:
            self._leave_off(
                f"the run ended at the tenant's limit of {self._limits.max_messages_per_run:,} "
                "messages (max_messages_per_run in seeds/tenant_settings.csv); deliver again"
            )
        with self._connection.begin():
            for output in outputs:
                left = outbox.count_left(self._connection, output, self._tenant_id, self._now())
                for (destination, purpose), (not_due, due) in left.items():
                    counts = self.report.at(output, destination, purpose)
                    counts.not_due, counts.left = not_due, due
            self.report.held_out = checks.held_out(self._connection, self._tenant_id)


class _Courier:
    """Takes the messages of one output to one destination."""

    def __init__(self, run: _Run, output: str, destination: Destination, caller: Caller) -> None:
        self._run = run
        self._output = output
        self._destination = destination
        self._caller = caller
        self._open: dict[str, Message] = {}
        """Messages that are `intended` in the outbox, and not sent yet."""

    def deliver(self) -> None:
        """First what is unknown, then what is due.

        Raises:
            _Stopped: nothing more can be sent there now.
        """
        try:
            for page in self._pages(self._unknown):
                self._one_by_one([one.message for one in page if one.state == "unknown"])
            for page in self._pages(self._due):
                messages = [one.message for one in page if one.state == "intended"]
                self._open = {message.message_id: message for message in messages}
                bulk = self._destination.bulk
                operations = bulk.operations if bulk else frozenset()
                if bulk is not None:
                    self._in_bulk(bulk, [one for one in messages if one.operation in operations])
                self._one_by_one([one for one in messages if one.operation not in operations])
        except _Stopped as reason:
            put_back = Outcome("waiting", str(reason))
            self._record([(message, put_back) for message in self._open.values()])
            raise

    def _pages(
        self, plan: Callable[[str, Mapping[str, Any]], list[outbox.Decided]]
    ) -> Iterator[list[outbox.Decided]]:
        """Page after page by message id, each decided and committed before it is given."""
        after = ""
        while True:
            with self._run.connection.begin():
                self._run.require_switched_on(self._destination.name)
                page = plan(after, self._run.transaction())
            if not page:
                return
            self._run.count_planned(self._output, page)
            yield page
            after = page[-1].message.message_id

    def _unknown(self, after: str, values: Mapping[str, Any]) -> list[outbox.Decided]:
        connection, name = self._run.connection, self._destination.name
        return outbox.unknown_page(connection, self._output, name, after, PAGE, values)

    def _due(self, after: str, values: Mapping[str, Any]) -> list[outbox.Decided]:
        limit = min(PAGE, self._run.room())
        if limit <= 0:
            return []
        return outbox.plan_page(
            self._run.connection,
            self._output,
            self._destination.name,
            self._run.build.build_id,
            after,
            limit,
            values,
        )

    def _in_bulk(self, bulk: Bulk, messages: Sequence[Message]) -> None:
        """Send what was never sent; a request that is refused is cut in two until it fits."""
        entries: list[tuple[Message, bytes]] = []
        for message in messages:
            try:
                entries.append((message, bulk.to_entry(message)))
            except (KeyError, TypeError, ValueError) as error:
                self._record([(message, _malformed(error))])
        batches = list(_batches(entries, bulk))[::-1]
        while batches:
            batch = batches.pop()
            sent = [message for message, _ in batch]
            self._look_at_the_switches()
            outcome = self._bulk_outcome(bulk, [entry for _, entry in batch])
            if outcome.state == "rejected" and len(batch) > 1:
                half = len(batch) // 2
                batches += [batch[half:], batch[:half]]
            elif outcome.state == "rejected":
                self._one_by_one(sent)
            else:
                self._record([(message, outcome) for message in sent])
                self._stop_if_hopeless([outcome])
                if outcome.state == "unknown":
                    self._one_by_one([replace(one, attempts=one.attempts + 1) for one in sent])
                elif outcome.state == "waiting":
                    raise _Stopped(outcome.reason)

    def _bulk_outcome(self, bulk: Bulk, entries: Sequence[bytes]) -> Outcome:
        """What became of one bulk request, and of the job that it made."""
        answer = self._caller.call(bulk.to_request(entries), may_repeat=False)
        if (outcome := judge(answer)) is not None:
            return outcome
        job = bulk.job_of(answer)
        if job is None:
            is_empty = not answer.body.strip()
            return ACCEPTED if is_empty else Outcome("unknown", "the answer names no job")
        waited, look = 0.0, FIRST_LOOK_SECONDS
        while waited < JOB_PATIENCE_SECONDS:
            answer = self._caller.call(bulk.job_request(job), may_repeat=True)
            if (outcome := bulk.read_job(answer)) is not None:
                return outcome
            self._run.sleep(look)
            waited += look
            look = min(2 * look, LONGEST_LOOK_SECONDS)
        return Outcome("unknown", f"job {job} had not ended after {waited:.0f} seconds")

    def _one_by_one(self, messages: Iterable[Message]) -> None:
        """Send each by a request of its own, several under way at once."""
        with ThreadPoolExecutor(THREADS) as threads:
            for chunk in _chunks(messages, CHUNK):
                self._look_at_the_switches()
                outcomes = [
                    (message, _with_the_past(message, outcome))
                    for message, outcome in zip(
                        chunk, threads.map(self._send_one, chunk), strict=True
                    )
                ]
                self._record(outcomes)
                self._stop_if_hopeless([outcome for _, outcome in outcomes])

    def _send_one(self, message: Message) -> Outcome:
        return send_one(self._destination, self._caller, message)

    def _record(self, outcomes: Sequence[tuple[Message, Outcome]]) -> None:
        self._run.record(self._output, outcomes)
        for message, _ in outcomes:
            self._open.pop(message.message_id, None)

    def _look_at_the_switches(self) -> None:
        with self._run.connection.begin():
            self._run.require_switched_on(self._destination.name)

    def _stop_if_hopeless(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            if outcome.must_stop or (self._caller.is_down and outcome.state != "accepted"):
                raise _Stopped(outcome.reason)


def send_one(destination: Destination, caller: Caller, message: Message) -> Outcome:
    """Send one message, with all requests that it takes."""
    try:
        request = destination.to_request(message)
    except (KeyError, TypeError, ValueError) as error:
        return _malformed(error)
    while True:
        answer = caller.call(request, may_repeat=True)
        outcome = destination.read(message, request, answer)
        if isinstance(outcome, Outcome):
            return outcome
        request = outcome


def _batches(
    entries: Iterable[tuple[Message, bytes]], bulk: Bulk
) -> Iterator[list[tuple[Message, bytes]]]:
    """Entries in the fewest requests that the destination takes, in their order.

    One that is too large by itself gets a batch of its own: the destination says what is wrong.
    """
    batch: list[tuple[Message, bytes]] = []
    size = 0
    for message, entry in entries:
        longer = size + len(entry) + 1
        if batch and (len(batch) == bulk.most_messages or longer > bulk.most_bytes):
            yield batch
            batch, longer = [], len(entry) + 1
        batch.append((message, entry))
        size = longer
    if batch:
        yield batch


def _chunks(messages: Iterable[Message], size: int) -> Iterator[list[Message]]:
    following = iter(messages)
    while chunk := list(itertools.islice(following, size)):
        yield chunk


def _with_the_past(message: Message, outcome: Outcome) -> Outcome:
    """What never arrived this time may have arrived before: then it stays unknown."""
    if outcome.state == "waiting" and message.attempts > 0:
        return replace(outcome, state="unknown")
    return outcome


def _malformed(error: Exception) -> Outcome:
    return Outcome("rejected", f"cannot be made into a request: {type(error).__name__} {error}")
