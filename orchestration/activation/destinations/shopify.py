"""Shopify: discount codes, through the GraphQL Admin API.

A code exists once in a shop, so that a repeated request is refused as taken; after a request whose
answer never came, that means that the code is there.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson

from orchestration.activation.destinations.base import (
    ACCEPTED,
    LONGEST_REASON,
    Answer,
    Destination,
    Outcome,
    Request,
    judge,
)
from orchestration.activation.message import Message
from orchestration.activation.rates import Limits

PATH = "/admin/api/2026-07/graphql.json"
MUTATION = (
    "mutation createCode($basicCodeDiscount: DiscountCodeBasicInput!) {"
    " discountCodeBasicCreate(basicCodeDiscount: $basicCodeDiscount) {"
    " codeDiscountNode { id } userErrors { field code message } } }"
)
TAKEN = "TAKEN"
THROTTLED = "THROTTLED"


def authorise(token: str, _request: Request, _at: datetime) -> Mapping[str, str]:
    """The token of the shop's own app."""
    return {"x-shopify-access-token": token}


def to_request(message: Message) -> Request:
    """The mutation that makes the code.

    The payload holds code, discount_type (percentage or fixed_amount), value, currency, starts_at,
    expires_at, usage_limit, once_per_customer, minimum_amount and minimum_quantity.
    """
    body = {
        "query": MUTATION,
        "variables": {"basicCodeDiscount": _discount(orjson.loads(message.payload))},
    }
    headers = {"content-type": "application/json"}
    return Request("POST", PATH, "graphql", headers, orjson.dumps(body))


def read(message: Message, _request: Request, answer: Answer) -> Outcome | Request:
    """What became of the code. GraphQL answers 200 to what it refuses, too."""
    if (outcome := judge(answer)) is not None:
        return outcome
    body = answer.json()
    if not isinstance(body, dict):
        return Outcome("unknown", "the answer is no JSON")
    if errors := body.get("errors"):
        said = str(errors)[:LONGEST_REASON]
        return Outcome("unknown" if THROTTLED in said else "rejected", said)
    made = (body.get("data") or {}).get("discountCodeBasicCreate")
    if not isinstance(made, dict):
        return Outcome("unknown", "the answer does not say what became of the code")
    problems = made.get("userErrors") or []
    codes = {problem.get("code") for problem in problems}
    was_asked_before = message.attempts > 0 or answer.may_have_arrived
    if not problems or (codes == {TAKEN} and was_asked_before):
        return ACCEPTED
    words = "; ".join(str(problem.get("message")) for problem in problems)
    return Outcome("rejected", words[:LONGEST_REASON])


def _discount(facts: Mapping[str, Any]) -> dict[str, Any]:
    if facts["discount_type"] == "percentage":
        gets: dict[str, Any] = {"percentage": float(facts["value"]) / 100}
    else:
        gets = {"discountAmount": {"amount": str(facts["value"]), "appliesOnEachItem": False}}
    discount: dict[str, Any] = {
        "title": facts["code"],
        "code": facts["code"],
        "startsAt": facts["starts_at"],
        "endsAt": facts.get("expires_at"),
        "usageLimit": facts.get("usage_limit"),
        "appliesOncePerCustomer": bool(facts.get("once_per_customer")),
        "customerSelection": {"all": True},
        "customerGets": {"value": gets, "items": {"all": True}},
    }
    if facts.get("minimum_amount") is not None:
        least = str(facts["minimum_amount"])
        discount["minimumRequirement"] = {"subtotal": {"greaterThanOrEqualToSubtotal": least}}
    elif facts.get("minimum_quantity") is not None:
        pieces = str(facts["minimum_quantity"])
        discount["minimumRequirement"] = {"quantity": {"greaterThanOrEqualToQuantity": pieces}}
    return discount


DESTINATION = Destination(
    name="shopify",
    url_variable="SHOPIFY_BASE_URL",
    default_url=None,
    secret_variable="SHOPIFY_ACCESS_TOKEN",
    limits={"graphql": Limits(2, 100)},
    authorise=authorise,
    to_request=to_request,
    read=read,
)
