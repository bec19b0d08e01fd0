"""Messages as requests and answers as outcomes, for each destination."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from orchestration.activation.caller import NotConnectable, account_of, retry_after
from orchestration.activation.destinations import DESTINATIONS, klaviyo, shopify, webhook
from orchestration.activation.destinations.base import (
    ACCEPTED,
    Answer,
    Outcome,
    Request,
    judge,
)
from orchestration.activation.message import OUTPUTS, PURPOSES, Message
from orchestration.settings import Settings

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
EVENT = {
    "data": {
        "type": "event",
        "attributes": {
            "metric": {"data": {"type": "metric", "attributes": {"name": "Come back"}}},
            "profile": {"data": {"type": "profile", "attributes": {"email": "ada@example.com"}}},
            "properties": {"campaign_id": "miss-you"},
            "time": "2026-07-01T10:00:00.000000Z",
            "unique_id": "m1",
        },
    }
}
MESSAGE = Message(
    "m1", "acme", "ada", "klaviyo", "create_event", "winback", json.dumps(EVENT), None, None
)
CODE: dict[str, Any] = {
    "code": "MISSYOU15",
    "discount_type": "percentage",
    "value": 15,
    "currency": "EUR",
    "starts_at": "2026-07-01T00:00:00Z",
    "ends_at": None,
    "usage_limit": 100,
    "once_per_customer": True,
    "minimum_purchase_amount": None,
    "minimum_quantity": None,
}


def code_message(**changes: object) -> Message:
    payload = json.dumps({**CODE, **changes})
    return replace(MESSAGE, operation="create_discount_code", payload=payload)


def answered(status: int, body: object = None, **options: Any) -> Answer:
    return Answer(status, {}, b"" if body is None else json.dumps(body).encode(), **options)


def test_an_event_goes_out_as_the_model_wrote_it() -> None:
    """Prevents: a payload that an analyst reads in the warehouse, and another one that is sent."""
    request = klaviyo.to_request(MESSAGE)
    assert (request.method, request.path) == ("POST", "/api/events")
    assert json.loads(request.body) == EVENT
    old = json.loads(klaviyo.to_request(replace(MESSAGE, is_backfill=True)).body)
    assert old["data"]["attributes"].pop("backfill") is True
    assert old == EVENT


def test_a_bulk_entry_says_the_same_as_the_single_event() -> None:
    """Prevents: an event that loses its profile, its key or its age on the way into a job."""
    attributes: dict[str, Any] = EVENT["data"]["attributes"]  # type: ignore[assignment]
    for is_backfill in (False, True):
        entry = json.loads(klaviyo.to_entry(replace(MESSAGE, is_backfill=is_backfill)))
        (event,) = entry["attributes"]["events"]["data"]
        assert event["attributes"] | {"profile": entry["attributes"]["profile"]} == attributes
        assert entry["attributes"]["backfill"] is is_backfill
    body = json.loads(klaviyo.to_bulk_request([b'{"a":1}', b'{"b":2}']).body)
    assert body["data"]["attributes"]["events-bulk-create"]["data"] == [{"a": 1}, {"b": 2}]


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (answered(202), ACCEPTED),
        (answered(400, {"errors": [{"detail": "no"}]}), Outcome("rejected", "answered 400: no")),
        (answered(302), Outcome("rejected", "answered 302: ")),
        (answered(429), Outcome("waiting", "rate_limited")),
        (answered(429, may_have_arrived=True), Outcome("unknown", "rate_limited")),
        (answered(503, may_have_arrived=True), Outcome("unknown", "the destination answered 503")),
        (Answer(None, problem="cannot be reached: x"), Outcome("waiting", "cannot be reached: x")),
        (
            Answer(None, problem="no answer: x", may_have_arrived=True),
            Outcome("unknown", "no answer: x"),
        ),
    ],
)
def test_each_answer_means_one_thing(answer: Answer, outcome: Outcome) -> None:
    """Prevents: a message given up that may be sent again, or sent again that may have arrived."""
    assert klaviyo.read(MESSAGE, klaviyo.to_request(MESSAGE), answer) == outcome


def test_refused_credentials_stop_everything() -> None:
    """Prevents: dead letters because a key was rotated."""
    for status in (401, 403):
        outcome = judge(answered(status))
        assert outcome is not None
        assert (outcome.state, outcome.must_stop) == ("waiting", True)


@pytest.mark.parametrize(
    ("status", "failed", "outcome"),
    [
        ("queued", 0, None),
        ("processing", 0, None),
        ("complete", 0, "accepted"),
        ("complete", 1, "unknown"),
        ("failed", 0, "rejected"),
        ("cancelled", 0, "unknown"),
    ],
)
def test_a_job_counts_when_it_has_ended(status: str, failed: int, outcome: str | None) -> None:
    """Prevents: 202 taken for the end, and a job in part for the whole."""
    attributes = {"status": status, "failed_count": failed}
    read = klaviyo.read_job(answered(200, {"data": {"id": "j", "attributes": attributes}}))
    assert (read and read.state) == outcome
    assert klaviyo.read_job(Answer(404)).state == "unknown"  # type: ignore[union-attr]
    assert klaviyo.read_job(Answer(200, {}, b"<html>")).state == "unknown"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("operation", "method"), [("add_to_list", "POST"), ("remove_from_list", "DELETE")]
)
def test_a_member_of_a_list_is_found_before_it_is_moved(operation: str, method: str) -> None:
    """Prevents: a subscription call, which would lift suppressions; and members nobody has."""
    payload = {"list_id": "L1", "profile": {"email": "ada@example.com"}}
    message = replace(MESSAGE, operation=operation, payload=json.dumps(payload))
    first = klaviyo.to_request(message)
    assert (first.method, first.path) == ("POST", "/api/profile-import")
    assert json.loads(first.body)["data"]["attributes"] == {"email": "ada@example.com"}
    second = klaviyo.read(message, first, answered(200, {"data": {"id": "p1"}}))
    assert isinstance(second, Request)
    assert (second.method, second.path) == (method, "/api/lists/L1/relationships/profiles")
    assert json.loads(second.body) == {"data": [{"type": "profile", "id": "p1"}]}
    assert klaviyo.read(message, second, answered(204)) == ACCEPTED
    assert klaviyo.read(message, first, answered(200, {})).state == "unknown"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("changes", "value", "minimum"),
    [
        ({}, {"percentage": 0.15}, None),
        (
            {"discount_type": "fixed_amount", "value": 20, "minimum_purchase_amount": 50},
            {"discountAmount": {"amount": "20", "appliesOnEachItem": False}},
            {"subtotal": {"greaterThanOrEqualToSubtotal": "50"}},
        ),
        (
            {"minimum_quantity": 3},
            {"percentage": 0.15},
            {"quantity": {"greaterThanOrEqualToQuantity": "3"}},
        ),
    ],
)
def test_a_code_says_what_it_is_worth(
    changes: dict[str, object], value: object, minimum: object
) -> None:
    """Prevents: 15 per cent that become 1,500, and a minimum that gets lost."""
    request = shopify.to_request(code_message(**changes))
    discount = json.loads(request.body)["variables"]["discount"]
    assert discount["customerGets"]["value"] == value
    assert discount.get("minimumRequirement") == minimum
    assert (discount["code"], discount["usageLimit"]) == ("MISSYOU15", 100)
    assert discount["appliesOncePerCustomer"] is True


def test_free_shipping_is_a_code_of_its_own_kind() -> None:
    """Prevents: a reward of free shipping that takes nothing off, or everything."""
    message = code_message(discount_type="free_shipping", value=None)
    body = json.loads(shopify.to_request(message).body)
    assert "discountCodeFreeShippingCreate" in body["query"]
    assert body["variables"]["discount"]["destination"] == {"all": True}
    assert "customerGets" not in body["variables"]["discount"]


def test_a_code_for_products_names_them() -> None:
    """Prevents: a free mug that makes the whole basket free."""
    message = code_message(value=100, products=["gid://shopify/Product/1", "22"])
    discount = json.loads(shopify.to_request(message).body)["variables"]["discount"]
    assert discount["customerGets"]["items"] == {
        "products": {"productsToAdd": ["gid://shopify/Product/1", "gid://shopify/Product/22"]}
    }


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"products": ["mug-stoneware"]}, "mug-stoneware is not the id of a product"),
        ({"collections": ["grounding"]}, "restricted by collections"),
        ({"first_time_only": True}, "restricted by first_time_only"),
        ({"discount_type": "buy_x_get_y"}, "buy_x_get_y are made by hand"),
        ({"minimum_purchase_amount": 5, "minimum_quantity": 2}, "one minimum"),
    ],
)
def test_a_code_that_would_promise_more_is_not_made(changes: dict[str, object], words: str) -> None:
    """Prevents: a restricted code that the shop takes for everything and from everybody."""
    with pytest.raises(ValueError, match=words):
        shopify.to_request(code_message(**changes))


def test_a_code_that_is_taken_is_ours_only_after_a_try_of_ours() -> None:
    """Prevents: somebody else's code passed off as ours, and ours reported as a failure."""
    problem = {"code": "TAKEN", "message": "Code must be unique"}
    made = {"codeDiscountNode": None, "userErrors": [problem]}
    body = {"data": {"discountCodeBasicCreate": made}}
    message = code_message()
    request = shopify.to_request(message)
    assert shopify.read(message, request, answered(200, body)) == Outcome(
        "rejected", "Code must be unique"
    )
    again = replace(message, attempts=1)
    assert shopify.read(again, request, answered(200, body)) == ACCEPTED
    lost_before = answered(200, body, may_have_arrived=True)
    assert shopify.read(message, request, lost_before) == ACCEPTED


def test_graphql_refuses_with_200() -> None:
    """Prevents: a code that is taken for made because the status was 200."""
    request = shopify.to_request(code_message())

    def state(body: object) -> str:
        outcome = shopify.read(MESSAGE, request, answered(200, body))
        assert isinstance(outcome, Outcome)
        return outcome.state

    assert state({"data": {"discountCodeBasicCreate": {"userErrors": []}}}) == "accepted"
    assert state({"errors": [{"message": "wrong field"}]}) == "rejected"
    throttled = {"message": "Throttled", "extensions": {"code": "THROTTLED"}}
    assert state({"errors": [throttled]}) == "unknown"
    assert state({"data": {}}) == "unknown"
    assert state([]) == "unknown"


def test_a_webhook_is_signed_over_time_id_and_body() -> None:
    """Prevents: a receiver that cannot tell us from anybody else, or an old message from a new."""
    message = replace(MESSAGE, destination="webhook", payload='{"id": "m1"}')
    request = webhook.to_request(message)
    assert request.body == b'{"id": "m1"}'
    headers = webhook.authorise("secret", request, NOON)
    assert headers["x-journey-timestamp"] == "1782907200"
    assert request.headers["x-journey-message-id"] == "m1"
    # printf '%s' '1782907200.m1.{"id": "m1"}' | openssl dgst -sha256 -hmac secret
    digest = "d6a5e32e5d8a2e97d1d5252fb45fca3b14ba6080da25725a601fad5ecb2f4a39"
    assert headers["x-journey-signature"] == f"sha256={digest}"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30", 30),
        ("0", 1),
        ("Wed, 01 Jul 2026 12:01:00 GMT", 60),
        ("soon", 1),
        ("", 1),
        ("99999", 99_999),
    ],
)
def test_the_destination_says_how_long_to_wait(text: str, seconds: float) -> None:
    """Prevents: a header in its other form that is read as no wait at all."""
    assert retry_after(Answer(429, {"Retry-After": text}), NOON) == seconds


def test_each_tenant_may_have_an_account_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Prevents: one tenant's people written to with another's account, and a secret in a log."""
    settings = Settings(home=tmp_path)
    for name in ("KLAVIYO_API_KEY", "KLAVIYO_API_KEY__NORTH_SHOP", "KLAVIYO_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    assert account_of(settings, klaviyo.DESTINATION, "north-shop") is None
    monkeypatch.setenv("KLAVIYO_API_KEY", "shared")
    monkeypatch.setenv("KLAVIYO_API_KEY__NORTH_SHOP", "own")
    own = account_of(settings, klaviyo.DESTINATION, "north-shop")
    other = account_of(settings, klaviyo.DESTINATION, "south")
    assert own is not None
    assert other is not None
    assert (own.secret, other.secret, own.url) == ("own", "shared", "https://a.klaviyo.com")
    assert "own" not in repr(own)
    assert account_of(settings, shopify.DESTINATION, "south") is None


@pytest.mark.parametrize(
    ("url", "is_safe"),
    [
        ("https://hooks.example.com/x", True),
        ("http://127.0.0.1:8000/x", True),
        ("http://localhost/x", True),
        ("http://hooks.example.com/x", False),
        ("file:///etc/passwd", False),
        ("hooks.example.com", False),
    ],
)
def test_messages_leave_the_machine_encrypted_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url: str, is_safe: bool
) -> None:
    """Prevents: people's addresses in plain text on a network."""
    monkeypatch.setenv("WEBHOOK_URL", url)
    monkeypatch.setenv("WEBHOOK_SECRET", "secret")
    settings = Settings(home=tmp_path)
    if is_safe:
        assert account_of(settings, webhook.DESTINATION, "acme") is not None
    else:
        with pytest.raises(NotConnectable, match=r"WEBHOOK_URL of tenant acme must begin with"):
            account_of(settings, webhook.DESTINATION, "acme")


def test_every_output_can_go_somewhere() -> None:
    """Prevents: a sync model for a destination that nobody wrote."""
    assert {model.split("_")[1] for model in OUTPUTS.values()} <= set(DESTINATIONS)
    assert {destination for destination, _ in PURPOSES} <= set(DESTINATIONS)
