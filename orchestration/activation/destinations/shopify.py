"""Shopify: discount codes, through the GraphQL Admin API.

A code exists once in a shop, so that a repeated request is refused as taken; after a request whose
answer never came, that means that the code is there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
MUTATIONS = {
    "discountCodeBasicCreate": (
        "mutation make($discount: DiscountCodeBasicInput!) {"
        " discountCodeBasicCreate(basicCodeDiscount: $discount) {"
        " codeDiscountNode { id } userErrors { field code message } } }"
    ),
    "discountCodeFreeShippingCreate": (
        "mutation make($discount: DiscountCodeFreeShippingInput!) {"
        " discountCodeFreeShippingCreate(freeShippingCodeDiscount: $discount) {"
        " codeDiscountNode { id } userErrors { field code message } } }"
    ),
}
TAKEN = "TAKEN"
THROTTLED = "THROTTLED"


def authorise(token: str, _request: Request, _at: datetime) -> Mapping[str, str]:
    """The token of the shop's own app."""
    return {"x-shopify-access-token": token}


def to_request(message: Message) -> Request:
    """The mutation that makes the code.

    The payload is that of `sync_shopify__discount_codes`.

    Raises:
        ValueError: Shopify's codes cannot say what the payload asks for; a code that promises
            something else is not made.
    """
    facts = orjson.loads(message.payload)
    is_shipping = facts["discount_type"] == "free_shipping"
    mutation = "discountCodeFreeShippingCreate" if is_shipping else "discountCodeBasicCreate"
    body = {"query": MUTATIONS[mutation], "variables": {"discount": _discount(facts)}}
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
    made = next(iter((body.get("data") or {}).values()), None)
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
    for what in ("collections", "first_time_only"):
        if facts.get(what):
            raise ValueError(f"a code of Shopify's cannot be restricted by {what}")
    discount: dict[str, Any] = {
        "title": facts["code"],
        "code": facts["code"],
        "startsAt": facts["starts_at"],
        "endsAt": facts.get("ends_at"),
        "usageLimit": facts.get("usage_limit"),
        "appliesOncePerCustomer": bool(facts.get("once_per_customer")),
        "customerSelection": {"all": True},
    }
    if (minimum := _minimum(facts)) is not None:
        discount["minimumRequirement"] = minimum
    if facts["discount_type"] == "free_shipping":
        return {**discount, "destination": {"all": True}}
    gets = {"value": _value(facts), "items": _items(facts.get("products") or [])}
    return {**discount, "customerGets": gets}


def _value(facts: Mapping[str, Any]) -> dict[str, Any]:
    if facts["discount_type"] == "percentage":
        return {"percentage": float(facts["value"]) / 100}
    if facts["discount_type"] == "fixed_amount":
        return {"discountAmount": {"amount": str(facts["value"]), "appliesOnEachItem": False}}
    raise ValueError(f"codes of the type {facts['discount_type']} are made by hand")


def _items(products: Sequence[object]) -> dict[str, Any]:
    if not products:
        return {"all": True}
    ids = [str(product).removeprefix("gid://shopify/Product/") for product in products]
    if foreign := [one for one in ids if not one.isdecimal()]:
        raise ValueError(f"{foreign[0]} is not the id of a product of Shopify's")
    return {"products": {"productsToAdd": [f"gid://shopify/Product/{one}" for one in ids]}}


def _minimum(facts: Mapping[str, Any]) -> dict[str, Any] | None:
    amount, quantity = facts.get("minimum_purchase_amount"), facts.get("minimum_quantity")
    if amount is not None and quantity is not None:
        raise ValueError("a code of Shopify's has one minimum, an amount or a quantity")
    if amount is not None:
        return {"subtotal": {"greaterThanOrEqualToSubtotal": str(amount)}}
    if quantity is not None:
        return {"quantity": {"greaterThanOrEqualToQuantity": str(quantity)}}
    return None


DESTINATION = Destination(
    name="shopify",
    url_variable="SHOPIFY_BASE_URL",
    default_url=None,
    secret_variable="SHOPIFY_ACCESS_TOKEN",
    limits={"graphql": Limits(2, 100)},
    authorise=authorise,
    to_request=to_request,
    read=read,
    knows_people=False,
)
