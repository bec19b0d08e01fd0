"""The live delivery: what the latest build wants sent leaves the machine, each message once.

The states of a message, and why a kill at any instant does no harm, stand in `outbox.py`; what is
asked in the moment before sending, in `checks.py`; how the messages of one output travel, in
`courier.py`. Here is who may send, in which order, and what is counted.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import sqlalchemy

from orchestration.activation import checks, outbox, switches
from orchestration.activation.caller import Caller, account_of
from orchestration.activation.courier import Courier, Stopped, send_one
from orchestration.activation.deliver import require_tenant
from orchestration.activation.destinations import DESTINATIONS
from orchestration.activation.destinations.base import Outcome
from orchestration.activation.enrolment import enrol
from orchestration.activation.gate import GateClosed, require_fresh, require_success
from orchestration.activation.message import OUTPUTS, Message
from orchestration.activation.rates import Limits
from orchestration.activation.report import SendReport
from orchestration.settings import SEEDS_DIR, Settings
from orchestration.warehouse.builds import Build, BuildRunning, hold_still
from orchestration.warehouse.database import engine
from orchestration.warehouse.roles import SENDER

SAMPLES = 3


@dataclass(frozen=True)
class World:
    """What a delivery asks of the world around it; tests give their own."""

    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], None] = time.sleep
    limits: Mapping[str, Limits] | None = None
    """Instead of the limits of each destination."""
    timeout: float = 30.0


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
    database = engine(settings, SENDER)
    try:
        with database.connect() as connection:
            with connection.begin():
                require_success(connection)
            with outbox.sending(connection, tenant_id):
                run = Run(settings, connection, tenant_id, world or World())
                run.send(outputs)
                return run.report
    finally:
        database.dispose()


class Run:
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
                    except Stopped as reason:
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
            Stopped: the build that vouched for the messages is not the latest any more.
        """
        try:
            hold_still(self._connection)
            build = self._require_gate()
        except (GateClosed, BuildRunning) as error:
            raise Stopped(str(error)) from error
        if build.build_id != self._build.build_id:
            raise Stopped("a newer build has come meanwhile; deliver again")
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
            Stopped: somebody did.
        """
        switch = switches.switch_against(self._connection, self._tenant_id, destination)
        if switch is not None:
            raise Stopped(
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
        Courier(self, output, DESTINATIONS[name], caller).deliver()

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
                raise Stopped(outcome.reason)
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
