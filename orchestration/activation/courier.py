"""Takes the messages of one output to one destination, page after page.

First what is unknown, by requests of which a repeat does no harm; then what is due, in bulk where
the destination can. Each page is decided and committed before the first of its messages leaves.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from orchestration.activation import outbox
from orchestration.activation.caller import Caller
from orchestration.activation.destinations.base import (
    ACCEPTED,
    Bulk,
    Destination,
    Joint,
    Outcome,
    Request,
    judge,
)
from orchestration.activation.message import Message

if TYPE_CHECKING:
    from orchestration.activation.send import Run

Thing = TypeVar("Thing")

PAGE = 1_000
CHUNK = 64
"""Messages sent one by one between two looks at the switches."""
THREADS = 8
"""Requests under way at once: a destination answers slower than it takes."""
JOB_PATIENCE_SECONDS = 600.0
FIRST_LOOK_SECONDS, LONGEST_LOOK_SECONDS = 0.5, 5.0


class Stopped(Exception):
    """Nothing more is sent to this destination in this run."""


class Courier:
    """Takes the messages of one output to one destination."""

    def __init__(self, run: Run, output: str, destination: Destination, caller: Caller) -> None:
        self._run = run
        self._output = output
        self._destination = destination
        self._caller = caller
        self._open: dict[str, Message] = {}
        """Messages that are `intended` in the outbox, and not sent yet."""

    def deliver(self) -> None:
        """First what is unknown, then what is due.

        Raises:
            Stopped: nothing more can be sent there now.
        """
        try:
            for page in self._pages(self._unknown):
                self._repeatably([one.message for one in page if one.state == "unknown"])
            for page in self._pages(self._due):
                messages = [one.message for one in page if one.state == "intended"]
                self._open = {message.message_id: message for message in messages}
                bulk = self._destination.bulk
                operations = bulk.operations if bulk else frozenset()
                if bulk is not None:
                    self._in_bulk(bulk, [one for one in messages if one.operation in operations])
                self._repeatably([one for one in messages if one.operation not in operations])
        except Stopped as reason:
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
                batches += _halves(batch)
            elif outcome.state == "rejected":
                self._one_by_one(sent)
            else:
                self._record([(message, outcome) for message in sent])
                self._stop_if_hopeless([outcome])
                if outcome.state == "unknown":
                    self._one_by_one([replace(one, attempts=one.attempts + 1) for one in sent])
                elif outcome.state == "waiting":
                    raise Stopped(outcome.reason)

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

    def _repeatably(self, messages: Sequence[Message]) -> None:
        """Send by requests of which a repeat does no harm."""
        joint = self._destination.joint
        operations = joint.operations if joint else frozenset()
        if joint is not None:
            self._jointly(joint, [one for one in messages if one.operation in operations])
        self._one_by_one([one for one in messages if one.operation not in operations])

    def _jointly(self, joint: Joint, messages: Sequence[Message]) -> None:
        """Send the first request of each, then those that follow, together by their address."""
        following: dict[tuple[str, str], list[tuple[Message, Request]]] = {}
        for chunk, steps in self._several_at_once(messages, self._first_step):
            ended = []
            for message, step in zip(chunk, steps, strict=True):
                if isinstance(step, Outcome):
                    ended.append((message, step))
                else:
                    following.setdefault((step.method, step.path), []).append((message, step))
            self._settle(ended)
        for address in sorted(following):
            batches = list(_chunks(following[address], joint.most_messages))[::-1]
            while batches:
                batch = batches.pop()
                self._look_at_the_switches()
                request = joint.to_request([request for _, request in batch])
                outcome = judge(self._caller.call(request, may_repeat=True)) or ACCEPTED
                if outcome.state == "rejected" and len(batch) > 1:
                    batches += _halves(batch)
                else:
                    self._settle([(message, outcome) for message, _ in batch])

    def _one_by_one(self, messages: Sequence[Message]) -> None:
        """Send each by requests of its own."""
        for chunk, outcomes in self._several_at_once(messages, self._send_one):
            self._settle(list(zip(chunk, outcomes, strict=True)))

    def _several_at_once(
        self, messages: Sequence[Message], send: Callable[[Message], Thing]
    ) -> Iterator[tuple[list[Message], list[Thing]]]:
        """What sending gave, some messages after the other; several are under way at once."""
        with ThreadPoolExecutor(THREADS) as threads:
            for chunk in _chunks(messages, CHUNK):
                self._look_at_the_switches()
                yield chunk, list(threads.map(send, chunk))

    def _first_step(self, message: Message) -> Outcome | Request:
        return first_step(self._destination, self._caller, message)

    def _send_one(self, message: Message) -> Outcome:
        return send_one(self._destination, self._caller, message)

    def _settle(self, outcomes: Sequence[tuple[Message, Outcome]]) -> None:
        """Write down what became of messages, and end here when others would fare no better."""
        settled = [(message, _with_the_past(message, outcome)) for message, outcome in outcomes]
        self._record(settled)
        self._stop_if_hopeless([outcome for _, outcome in settled])

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
                raise Stopped(outcome.reason)


def first_step(destination: Destination, caller: Caller, message: Message) -> Outcome | Request:
    """Send the first request of a message: what became of it, or the request that has to follow."""
    try:
        request = destination.to_request(message)
    except (KeyError, TypeError, ValueError) as error:
        return _malformed(error)
    return destination.read(message, request, caller.call(request, may_repeat=True))


def send_one(destination: Destination, caller: Caller, message: Message) -> Outcome:
    """Send one message, with all requests that it takes."""
    step = first_step(destination, caller, message)
    while isinstance(step, Request):
        step = destination.read(message, step, caller.call(step, may_repeat=True))
    return step


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


def _chunks(things: Iterable[Thing], size: int) -> Iterator[list[Thing]]:
    following = iter(things)
    while chunk := list(itertools.islice(following, size)):
        yield chunk


def _halves(batch: list[Thing]) -> list[list[Thing]]:
    """The second half and the first, which is then taken from the end."""
    half = len(batch) // 2
    return [batch[half:], batch[:half]]


def _with_the_past(message: Message, outcome: Outcome) -> Outcome:
    """What never arrived this time may have arrived before: then it stays unknown."""
    if outcome.state == "waiting" and message.attempts > 0:
        return replace(outcome, state="unknown")
    return outcome


def _malformed(error: Exception) -> Outcome:
    return Outcome("rejected", f"cannot be made into a request: {type(error).__name__} {error}")
