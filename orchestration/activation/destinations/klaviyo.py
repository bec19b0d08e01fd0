"""Klaviyo: events, one by one or in bulk jobs, and members of lists, many at once.

An event is known by its `unique_id`, which is the message id. The endpoint for single events keeps
the first one and takes repeats without a word; a bulk job fails as a whole when one is repeated, so
only messages that were never sent go there. A list has a member or has not, however often it is
told, so additions to it and removals from it leave together also when they are repeated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import orjson

from orchestration.activation.destinations.base import (
    ACCEPTED,
    Answer,
    Bulk,
    Destination,
    Joint,
    Outcome,
    Request,
    detail,
    judge,
)
from orchestration.activation.message import DELETE_PROFILE, Message
from orchestration.activation.rates import Limits

NOT_FOUND = 404
REVISION = "2026-07-15"
EVENTS, JOBS, PROFILES = "/api/events", "/api/event-bulk-create-jobs", "/api/profile-import"
DELETIONS = "/api/data-privacy-deletion-jobs"
MOST_EVENTS, MOST_BYTES = 1_000, 5_000_000
MOST_MEMBERS = 1_000
HEADERS = {"content-type": "application/vnd.api+json", "accept": "application/vnd.api+json"}
LIST_METHODS = {"add_to_list": "POST", "remove_from_list": "DELETE"}

_BULK_START = (
    b'{"data":{"type":"event-bulk-create-job","attributes":{"events-bulk-create":{"data":['
)
_BULK_END = b"]}}}}"


def authorise(key: str, _request: Request, _at: datetime) -> Mapping[str, str]:
    """The private key of the account, and the revision of the API that is meant."""
    return {"authorization": f"Klaviyo-API-Key {key}", "revision": REVISION}


def to_request(message: Message) -> Request:
    """One event, the profile whose membership changes, or the profile to forget."""
    payload = orjson.loads(message.payload)
    if message.operation == DELETE_PROFILE:
        known_by = (
            {"email": payload["email"]}
            if "email" in payload
            else {"phone_number": payload["phone"]}
        )
        person = {"data": {"type": "profile", "attributes": known_by}}
        job = {"type": "data-privacy-deletion-job", "attributes": {"profile": person}}
        return _request("POST", DELETIONS, "deletions", {"data": job})
    if message.operation in LIST_METHODS:
        profile = {"type": "profile", "attributes": payload["profile"]}
        return _request("POST", PROFILES, "profiles", {"data": profile})
    if message.is_backfill:
        payload["data"]["attributes"]["backfill"] = True
    return _request("POST", EVENTS, "events", payload)


def read(message: Message, request: Request, answer: Answer) -> Outcome | Request:
    """What became of an event; of a membership, the profile's id leads to the list."""
    if request.path == DELETIONS and answer.status == NOT_FOUND:
        return ACCEPTED
    if (outcome := judge(answer)) is not None:
        return outcome
    if request.path != PROFILES:
        return ACCEPTED
    body = answer.json()
    profile_id = body.get("data", {}).get("id") if isinstance(body, dict) else None
    if not profile_id:
        return Outcome("unknown", "the answer names no profile")
    list_id = orjson.loads(message.payload)["list_id"]
    path = f"/api/lists/{list_id}/relationships/profiles"
    member = {"data": [{"type": "profile", "id": profile_id}]}
    return _request(LIST_METHODS[message.operation], path, "lists", member)


def to_joint_request(requests: Sequence[Request]) -> Request:
    """All members that are added to one list, or taken off it."""
    ids = {member["id"] for one in requests for member in orjson.loads(one.body)["data"]}
    members = [{"type": "profile", "id": profile_id} for profile_id in sorted(ids)]
    return replace(requests[0], body=orjson.dumps({"data": members}))


def to_entry(message: Message) -> bytes:
    """One event as an entry of a bulk job."""
    attributes: dict[str, Any] = orjson.loads(message.payload)["data"]["attributes"]
    profile = attributes.pop("profile")
    event = {"type": "event", "attributes": attributes}
    return orjson.dumps(
        {
            "type": "event-bulk-create",
            "attributes": {
                "profile": profile,
                "backfill": message.is_backfill,
                "events": {"data": [event]},
            },
        }
    )


def to_bulk_request(entries: Sequence[bytes]) -> Request:
    """A job of many events."""
    return Request("POST", JOBS, "jobs", HEADERS, _BULK_START + b",".join(entries) + _BULK_END)


def job_of(answer: Answer) -> str | None:
    """The id of the job that Klaviyo made."""
    body = answer.json()
    job = body.get("data") if isinstance(body, dict) else None
    return str(job["id"]) if isinstance(job, dict) and job.get("id") else None


def job_request(job: str) -> Request:
    """How does the job fare?"""
    return Request("GET", f"{JOBS}/{job}", "job_status", HEADERS)


def read_job(answer: Answer) -> Outcome | None:
    """What became of the job: everything was taken, or nothing was."""
    if (outcome := judge(answer)) is not None:
        return Outcome("unknown", outcome.reason, outcome.must_stop)
    body = answer.json()
    attributes = body.get("data", {}).get("attributes", {}) if isinstance(body, dict) else {}
    status = attributes.get("status")
    if status in ("queued", "processing"):
        return None
    if status == "complete" and not attributes.get("failed_count"):
        return ACCEPTED
    if status == "failed":
        return Outcome("rejected", detail(answer))
    return Outcome("unknown", f"the job ended as {status or 'nothing known'}")


def _request(method: str, path: str, endpoint: str, body: object) -> Request:
    return Request(method, path, endpoint, HEADERS, orjson.dumps(body))


DESTINATION = Destination(
    name="klaviyo",
    url_variable="KLAVIYO_BASE_URL",
    default_url="https://a.klaviyo.com",
    secret_variable="KLAVIYO_API_KEY",
    limits={
        "events": Limits(350, 3_500),
        "jobs": Limits(10, 150),
        "job_status": Limits(10, 150),
        "profiles": Limits(75, 750),
        "lists": Limits(10, 150),
        "deletions": Limits(3, 60),
    },
    authorise=authorise,
    to_request=to_request,
    read=read,
    bulk=Bulk(
        operations=frozenset({"create_event"}),
        most_messages=MOST_EVENTS,
        most_bytes=MOST_BYTES - len(_BULK_START) - len(_BULK_END),
        to_entry=to_entry,
        to_request=to_bulk_request,
        job_of=job_of,
        job_request=job_request,
        read_job=read_job,
    ),
    joint=Joint(
        operations=frozenset(LIST_METHODS),
        most_messages=MOST_MEMBERS,
        to_request=to_joint_request,
    ),
)
