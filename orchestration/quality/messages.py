"""What is expected of a sync model before its messages leave.

These rules have no numbers: a message that breaks one would be refused by its destination, or
reach somebody who must not hear from us. They read consent and hold-outs from where the models take
them, not from the models that should have heeded them.
"""

# ruff: noqa: S608
# Queries are put together from contracts, rules and constants: names are quoted, texts are literals

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orchestration.activation.message import PURPOSES, Kind
from orchestration.quality.rules import Rule
from orchestration.quality.suites import SHOWN_ROWS, Expectation, Suite, literal

FILLED = (
    "message_id",
    "tenant_id",
    "destination",
    "operation",
    "purpose",
    "payload",
    "not_before",
)
NEEDS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("klaviyo", "create_event"): (
        "data.type",
        "data.attributes.unique_id",
        "data.attributes.time",
        "data.attributes.metric.data.attributes.name",
        "data.attributes.profile.data.attributes",
        "data.attributes.properties",
    ),
    ("shopify", "create_discount_code"): ("code", "discount_type", "starts_at"),
    ("klaviyo", "add_to_list"): ("list_id", "profile.email"),
    ("klaviyo", "remove_from_list"): ("list_id", "profile.email"),
    ("webhook", "post_event"): ("id", "type", "occurred_at"),
}
"""What the payload of each destination and operation cannot do without."""
WAY_OUT = "Mend the model, then build again: journey build"


def sync_suite(model: str, rules: Sequence[Rule]) -> Suite:
    """What is expected of the messages of a sync model.

    Args:
        model: its name.
        rules: those that hold for its table.
    """
    expectations = [
        *(_not_null(model, column) for column in FILLED),
        _null(model, "payload_lacks", "the payload has what its destination needs"),
        _null(model, "must_not_hear", "marketing goes to people who want it and can get it"),
        _null(model, "held_out", "nobody who is held out gets a message"),
        _expires_later(model),
        *(_batch(model, rule) for rule in rules if rule.rule == "messages_per_purpose"),
    ]
    return Suite(f"sync.{model}", _query(model), tuple(expectations))


def _query(model: str) -> str:
    marketing = ", ".join(
        f"({literal(destination)}, {literal(purpose)})"
        for (destination, purpose), declared in PURPOSES.items()
        if declared.kind is Kind.marketing
    )
    return f"""
with campaigns as (
    select tenant_id, campaign_id, coalesce(holdout_percent, 0) as holdout_percent
    from seeds.winback_campaign_definitions
),

messages as (
    select
        model.*,
        cast(model.payload as text) is json object as is_object,
        (model.destination, model.purpose) in ({marketing}) as is_marketing,
        model.payload #>> '{{data,attributes,properties,campaign_id}}' as campaign_id
    from sync.{model} as model
)

select
    messages.message_id,
    messages.tenant_id,
    messages.customer_id,
    messages.destination,
    messages.operation,
    messages.purpose,
    messages.payload,
    messages.not_before,
    messages.expires_at,
    {_payload_lacks()} as payload_lacks,
    case
        when not messages.is_marketing then null
        when customers.customer_id is null then 'no customer'
        when not customers.email_subscribed then 'not subscribed'
        when customers.is_email_suppressed then 'suppressed'
    end as must_not_hear,
    case
        when
            messages.purpose = 'winback'
            and coalesce(
                enrolments.is_held_out,
                {_bucket("messages.tenant_id", "messages.campaign_id", "messages.customer_id")}
                < campaigns.holdout_percent
            )
            then messages.campaign_id
    end as held_out,
    count(*) over (partition by messages.tenant_id, messages.purpose) as purpose_messages
from messages
left join marts.customers as customers
    on
        messages.tenant_id = customers.tenant_id
        and messages.customer_id = customers.customer_id
left join campaigns
    on
        messages.tenant_id = campaigns.tenant_id
        and messages.campaign_id = campaigns.campaign_id
left join outbox.campaign_enrolments as enrolments
    on
        messages.tenant_id = enrolments.tenant_id
        and messages.message_id = enrolments.message_id
"""


def _payload_lacks() -> str:
    """The first thing that a payload lacks, in words; null when it lacks nothing."""
    lines = ["when not messages.is_object then 'being a JSON object'"]
    for (destination, operation), paths in NEEDS.items():
        is_of = (
            f"messages.destination = {literal(destination)} "
            f"and messages.operation = {literal(operation)}"
        )
        for path in paths:
            value = f"messages.payload #> '{{{path.replace('.', ',')}}}'"
            empty = "('null', '\"\"', '{}')" if path != "data.attributes.properties" else "('null')"
            lines.append(
                f"when {is_of} and coalesce(cast({value} as text), 'null') in {empty} "
                f"then {literal(path)}"
            )
    lines.append(
        "when messages.destination = 'klaviyo' and messages.operation = 'create_event' "
        "and messages.payload #>> '{data,attributes,unique_id}' <> messages.message_id "
        "then 'its message_id as unique_id'"
    )
    known = " or ".join(
        f"(messages.destination = {literal(destination)} "
        f"and messages.operation = {literal(operation)})"
        for destination, operation in NEEDS
    )
    lines.append(f"when not ({known}) then 'a destination and operation whose needs are declared'")
    return "case " + "\n        ".join(lines) + " end"


def _bucket(*parts: str) -> str:
    """The bucket from 0 to 99 of the macro `hash_bucket`, by which campaigns hold people out."""
    hashed = " || ".join(f"length({part}) || ':' || {part}" for part in parts)
    return f"mod(cast(cast('x' || substring(md5({hashed}), 1, 8) as bit(32)) as bigint), 100)"


def _not_null(model: str, column: str) -> Expectation:
    return _expectation(
        model,
        f"every message has its {column}",
        "ExpectColumnValuesToNotBeNull",
        {"column": column},
        f"{column} is null",
    )


def _null(model: str, column: str, words: str) -> Expectation:
    return _expectation(
        model, words, "ExpectColumnValuesToBeNull", {"column": column}, f"{column} is not null"
    )


def _expires_later(model: str) -> Expectation:
    return _expectation(
        model,
        "no message expires before it may be sent",
        "ExpectColumnPairValuesAToBeGreaterThanB",
        {
            "column_A": "expires_at",
            "column_B": "not_before",
            "ignore_row_if": "either_value_is_missing",
        },
        "expires_at <= not_before",
    )


def _batch(model: str, rule: Rule) -> Expectation:
    assert rule.maximum is not None
    return Expectation(
        words=f"at most {rule.maximum} messages of a purpose",
        severity=rule.severity,
        kind="ExpectColumnValuesToBeBetween",
        arguments={"column": "purpose_messages", "max_value": float(rule.maximum)},
        failing=f"purpose_messages > {rule.maximum}",
        found="max(purpose_messages)",
        tell=lambda count: f"{count:,.0f}",
        rows=f"""select purpose, count(*) as messages from sync.{model}
where tenant_id = {{tenant}} group by purpose
having count(*) > {rule.maximum} order by messages desc, purpose limit {SHOWN_ROWS}""",
        mend=f"If so many are meant, change {rule.place}",
    )


def _expectation(
    model: str, words: str, kind: str, arguments: Mapping[str, object], failing: str
) -> Expectation:
    return Expectation(
        words=words,
        severity="error",
        kind=kind,
        arguments=arguments,
        failing=failing,
        found="count(*)",
        tell=lambda count: f"{count:,.0f} {'does' if count == 1 else 'do'} not",
        rows=f"""select message_id, purpose from ({_query(model)}) as checked
where tenant_id = {{tenant}} and ({failing}) order by message_id limit {SHOWN_ROWS}""",
        look=f"select * from sync.{model} where message_id in ({{rows}})",
        mend=WAY_OUT,
    )
