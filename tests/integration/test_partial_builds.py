"""What happens between builds, in stories: partial builds follow each of them as whole ones would.

Every story is a tenant of one warehouse that is built on the days of one calendar. It lets files
arrive or senders work, waits for the next build, and looks at what its own marts say then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from orchestration.activation.enrolment import Enrolled, enrol
from orchestration.activation.gate import require_success
from orchestration.activation.gift_codes import mint_gift_codes
from orchestration.activation.redemptions import decide_redemptions
from orchestration.warehouse.database import engine
from tests.reference.histories import File, World
from tests.reference.seeds import Tenant
from tests.reference.warehouse import Project, Warehouse
from tests.reference.winback import Campaign, Delivery, Enrolment

from .conftest import Worlds

DAY = timedelta(days=1)
AS_OF = datetime(2026, 6, 1, 14, tzinfo=UTC)
LAST_DAY = AS_OF + 30 * DAY
CALENDAR = (AS_OF, AS_OF, AS_OF + 2 * DAY, LAST_DAY, LAST_DAY + DAY / 24)
"""The first build is whole; the second, at the same instant, sees what was decided after the first;
the last, an hour after the one before, finds nothing new but the time."""
PUBLISHED = ("marts", "sync")
ADA, ADA_AT_WORK, BEN, CLEO, DORA, EVE = (
    f"{name}@example.com" for name in ("ada", "ada_work", "ben", "cleo", "dora", "eve")
)

Row = dict[str, object]
Contents = dict[tuple[str, str], Counter[str]]


@dataclass(frozen=True)
class Shop:
    """A story's tenant in the warehouse of all stories."""

    warehouse: Warehouse
    tenant: Tenant

    def arrive(self, source: str, *rows: Row) -> None:
        """Load rows."""
        world = World(0, self.tenant, ((File(source, f"{rows[0]['id']}.jsonl", rows),),))
        self.warehouse.load([(world, 0)])

    def query(self, statement: str) -> list[Row]:
        """The shop's own rows of a query that names their tenant."""
        rows = self.warehouse.query(f"select * from ({statement}) as rows")
        return [row for row in rows if row["tenant_id"] == self.tenant.tenant_id]

    def published(self) -> dict[str, Counter[str]]:
        """Every row of every table that readers or senders see."""
        return of(self.tenant, self.warehouse.contents(PUBLISHED))


def of(tenant: Tenant, contents: Contents) -> dict[str, Counter[str]]:
    return {table: rows for (owner, table), rows in contents.items() if owner == tenant.tenant_id}


def order(order_id: str, email: str, at: datetime, code: str | None = None) -> Row:
    """A paid order of 300 euros."""
    return {
        "id": order_id,
        "email": email,
        "created_at": at,
        "updated_at": at,
        "test": False,
        "currency": "EUR",
        "financial_status": "paid",
        "total_price": Decimal(300),
        "total_discounts": Decimal(0),
        "transactions": [],
        "line_items": [],
        "discount_codes": [{"code": code, "amount": "5.00"}] if code else [],
    }


def refund(at: datetime, amount: str = "300.00") -> Row:
    moved = {"kind": "refund", "status": "success", "amount": amount}
    return {"id": "refund", "created_at": at.isoformat(), "transactions": [moved]}


REWARDS = """tenant_id,reward_id,reward_name,points_cost,reward_type,reward_value,product_id,\
min_tier,min_orders,redemption_limit,total_available,is_active,starts_at,ends_at
rewards,five-off,Five off,100,fixed_discount,5,,,,,,true,,
merged,five-off,Five off,100,fixed_discount,5,,,,,,true,,
"""


def ask(request_id: str, email: str) -> Row:
    return {
        "id": request_id,
        "email": email,
        "reward_id": "five-off",
        "requested_at": AS_OF - DAY,
    }


def requests(shop: Shop) -> dict[object, tuple[object, object]]:
    """The status of each request, and the balance of who asked."""
    return {
        row["request_id"]: (row["status"], row["points_balance"])
        for row in shop.query(
            "select tenant_id, request_id, status, points_balance from marts.reward_redemptions "
            "left join marts.loyalty_accounts using (tenant_id, customer_id)"
        )
    }


def rewards(shop: Shop) -> Iterator[None]:
    """Prevents a reward that somebody else's order used, or that ran out, from going unnoticed."""
    bought = AS_OF - 100 * DAY
    shop.arrive("shopify_orders", order("o-ada", ADA, bought), order("o-eve", EVE, bought))
    shop.arrive(
        "redemption_requests",
        ask("used", ADA),
        ask("unused", ADA),
        ask("nobodys", "nobody@example.com"),
    )
    yield
    assert requests(shop)["used"] == ("requested", 350)
    report = decide_redemptions(shop.warehouse.settings, ["used", "unused", "nobodys"])
    assert (report.accepted, report.refused) == (2, {"unknown_customer": 1})
    before = shop.published()
    yield
    assert shop.published() == before

    (code,) = (
        row["code"]
        for row in shop.query(
            "select tenant_id, code from outbox.redemption_decisions where request_id = 'used'"
        )
    )
    by_another = order("o-ben", BEN, AS_OF + DAY, f" {str(code).lower()}")
    shop.arrive("shopify_orders", by_another)
    yield
    assert requests(shop) == {
        "used": ("used", 150),
        "unused": ("pending", 150),
        "nobodys": ("refused", None),
    }
    yield
    assert requests(shop)["unused"] == ("refunded", 250)


EARNED = "select * from intermediate.int_loyalty__news where purpose = 'points_earned'"


def merged(shop: Shop) -> Iterator[None]:
    """Prevents points or news that vanish or double when two members turn out to be one."""
    bought, hundred = AS_OF - 3 * DAY, {"total_price": Decimal(100)}
    shop.arrive(
        "shopify_orders",
        order("o-ada", ADA, bought) | hundred,
        order("o-eve", EVE, bought) | hundred,
    )
    bonus = {"id": "bonus", "email": EVE, "type": "earn_bonus", "points": 30}
    shop.arrive("loyalty_adjustments", {**bonus, "occurred_at": bought})
    shop.arrive("redemption_requests", ask("adas", ADA))
    yield
    accounts = shop.query("select * from marts.loyalty_accounts")
    assert {row["points_balance"] for row in accounts} == {150, 180}
    news = {row["message_id"] for row in shop.query(EARNED)}
    assert len(news) == 5
    assert decide_redemptions(shop.warehouse.settings, ["adas"]).accepted == 1
    yield
    of_both = order("o-both", EVE, AS_OF) | {"total_price": Decimal(0)}
    shop.arrive("shopify_orders", {**of_both, "customer": {"id": "1", "email": ADA}})
    yield
    movements = shop.query("select * from marts.points_transactions")
    assert Counter((row["transaction_type"], row["points"]) for row in movements) == {
        ("earn_bonus", 30): 1,
        ("earn_purchase", 100): 2,
        ("earn_signup", 50): 1,
        ("redeem_discount", -100): 1,
    }
    (account,) = shop.query("select * from marts.loyalty_accounts")
    assert (account["points_balance"], account["lifetime_points_earned"]) == (180, 280)
    assert requests(shop) == {"adas": ("pending", 180)}
    assert {row["message_id"] for row in shop.query(EARNED)} < news


def referral(referral_id: str, code: str, email: str) -> Row:
    return {
        "id": referral_id,
        "referral_code": code,
        "referred_email": email,
        "used_at": AS_OF - 2 * DAY,
    }


def adas(shop: Shop, column: str) -> object:
    """What the account of Ada says."""
    (row,) = shop.query(
        f"select tenant_id, {column} from marts.loyalty_accounts "
        "inner join marts.customer_identities as identities using (tenant_id, customer_id) "
        f"where identities.identifier = '{ADA}'"
    )
    return row[column]


def referrals(shop: Shop) -> dict[object, object]:
    rows = shop.query("select tenant_id, referral_id, status from marts.referrals")
    return {row["referral_id"]: row["status"] for row in rows}


def friends(shop: Shop) -> Iterator[None]:
    """Prevents points that only a whole build gives, takes back, or moves to another referrer."""
    bought = AS_OF - 100 * DAY
    shop.arrive("shopify_orders", order("o-ada", ADA, bought), order("o-eve", EVE, bought))
    yield
    assert adas(shop, "points_balance") == 350
    code = str(adas(shop, "referral_code"))
    shop.arrive(
        "referrals",
        referral("r-ben", code.lower(), BEN),
        referral("r-late", code, "late@example.com"),
        referral("r-self", code, ADA),
        referral("r-eve", code, EVE),
    )
    yield
    assert referrals(shop) == {
        "r-ben": "pending",
        "r-late": "pending",
        "r-self": "self_referral",
        "r-eve": "customer_before",
    }

    of_ben = order("o-ben", BEN, AS_OF + DAY)
    shop.arrive("shopify_orders", of_ben)
    yield
    assert adas(shop, "points_balance") == 380

    returned = AS_OF + 3 * DAY
    shop.arrive(
        "shopify_orders",
        {
            **of_ben,
            "updated_at": returned,
            "financial_status": "partially_refunded",
            "refunds": [refund(returned, "100.00")],
        },
    )
    shop.arrive("referrals", referral("r-late", "ELSEWHER", "late@example.com"))
    yield
    assert adas(shop, "points_balance") == 370
    assert referrals(shop)["r-late"] == "unknown_code"


def codes(shop: Shop) -> dict[object, object]:
    rows = shop.query(
        "select tenant_id, email, referral_code from marts.loyalty_accounts "
        "inner join marts.customers using (tenant_id, customer_id)"
    )
    return {row["email"]: row["referral_code"] for row in rows}


def same_code(shop: Shop) -> Iterator[None]:
    """Prevents a code with two owners, or one kept from its owner, when neither of the two that
    drew it is touched."""

    def draw(email: str, code: object) -> None:
        database = engine(shop.warehouse.settings)
        with database.begin() as connection:
            for table in ("int_loyalty__members", "int_loyalty__accounts"):
                connection.exec_driver_sql(
                    f"update intermediate.{table} as kept set drawn_code = %(code)s "
                    "from marts.customer_identities as identities "
                    "where identities.tenant_id = %(tenant_id)s "
                    "and identities.identifier = %(email)s "
                    "and kept.tenant_id = identities.tenant_id "
                    "and kept.customer_id = identities.customer_id",
                    {"code": code, "tenant_id": shop.tenant.tenant_id, "email": email},
                )
        database.dispose()

    shop.arrive(
        "shopify_orders",
        order("o-ada", ADA, AS_OF - 9 * DAY),
        order("o-eve", EVE, AS_OF - 8 * DAY),
    )
    yield
    drawn = codes(shop)
    draw(EVE, drawn[ADA])
    yield
    assert codes(shop) == {**drawn, EVE: "00000001"}
    draw(EVE, drawn[EVE])
    yield
    assert codes(shop) == drawn
    yield


# the ninetieth day after the 2nd of April, when they were made in Sydney, is the 1st of July, which
# ends there at the instant of the last build
MADE = datetime(2026, 4, 2, tzinfo=UTC)
DELIVERIES = "select tenant_id, payload::text as body from sync.sync_klaviyo__gift_deliveries"


def gift(gift_id: str, order_id: str | None, **changes: object) -> Row:
    return {
        "id": gift_id,
        "order_id": order_id,
        "sender_email": ADA,
        "recipient_email": EVE,
        "created_at": MADE,
        **changes,
    }


def claim(claim_id: str, code: object, email: str, at: datetime) -> Row:
    return {"id": claim_id, "gift_code": f" {str(code).lower()}", "email": email, "claimed_at": at}


def states(shop: Shop) -> dict[object, object]:
    """The status of each gift, and the reason against each claim."""
    return {
        row["id"]: row["state"]
        for row in shop.query(
            "select tenant_id, gift_id as id, status as state from marts.gifts union all "
            "select tenant_id, gift_claim_id, coalesce(reason, status) from marts.gift_claims"
        )
    }


def gifts(shop: Shop) -> Iterator[None]:
    """Prevents a real code that is unknown, and a gift that a claim, a refund or the time has
    changed without its sender being touched."""
    paid, back = order("o-paid", ADA, MADE), order("o-back", BEN, MADE)
    shop.arrive("shopify_orders", paid, back)
    shop.arrive(
        "gifts",
        gift("wanted", "o-paid"),
        gift("later", "o-paid", scheduled_delivery_at=AS_OF + DAY),
        gift("given-back", "o-back"),
        gift("forgotten", None),
    )
    assert mint_gift_codes(shop.warehouse.settings) == 4
    yield
    assert states(shop) == {
        "wanted": "delivered",
        "later": "pending",
        "given-back": "delivered",
        "forgotten": "delivered",
    }
    codes = {
        row["gift_id"]: row["code"]
        for row in shop.query("select tenant_id, gift_id, code from outbox.gift_codes")
    }
    told = [str(row["body"]) for row in shop.query(DELIVERIES)]
    assert len(told) == 3
    assert any(str(codes["wanted"]) in body for body in told)
    assert not any(str(codes["later"]) in body for body in told)
    yield
    shop.arrive(
        "gift_claims",
        claim("first", codes["wanted"], EVE, AS_OF + DAY),
        claim("second", codes["wanted"], BEN, AS_OF + DAY),
        claim("too-early", codes["later"], EVE, AS_OF),
        claim("too-late", codes["given-back"], EVE, AS_OF + DAY),
    )
    returned = AS_OF + DAY / 2
    shop.arrive(
        "shopify_orders",
        {
            **back,
            "financial_status": "refunded",
            "updated_at": returned,
            "refunds": [refund(returned)],
        },
    )
    yield
    assert states(shop) == {
        "wanted": "claimed",
        "first": "accepted",
        "second": "already_claimed",
        "later": "delivered",
        "too-early": "not_delivered",
        "given-back": "cancelled",
        "too-late": "order_cancelled",
        "forgotten": "delivered",
    }
    (claimed,) = shop.query("select * from marts.gifts where status = 'claimed'")
    assert claimed["gift_claim_id"] == "first"
    assert claimed["claimed_by_customer_id"] is None
    yield
    assert states(shop)["forgotten"] == states(shop)["later"] == "expired"
    assert shop.query(DELIVERIES) == []


COME_BACK = Campaign(
    campaign_id="come-back",
    target_stages="at_risk|churned",
    min_days_inactive=None,
    max_days_inactive=None,
    min_lifetime_value=None,
    target_collections=None,
    send_delay_days=0,
    attribution_days=30,
    holdout_percent=0,
    max_recipients_per_run=500,
    status="active",
    starts_at=AS_OF - 300 * DAY,
    ends_at=None,
    klaviyo_flow_id=None,
    discount_code="BACK10",
)
NOBODY_SENT = Campaign(**{**vars(COME_BACK), "campaign_id": "held", "holdout_percent": 100})
PEOPLE = (ADA, ADA_AT_WORK, BEN, CLEO, DORA)


def subscribe(email: str) -> Row:
    return {
        "id": f"cc-{email}",
        "email": email,
        "channel": "email",
        "subscribed": True,
        "changed_at": AS_OF - 120 * DAY,
    }


def both_are_ada() -> list[Row]:
    """A phone that ties two addresses."""
    return [
        {
            "id": f"l-{email}",
            "email": email,
            "phone": "+49 171 2300001",
            "captured_at": AS_OF - 110 * DAY,
        }
        for email in (ADA, ADA_AT_WORK)
    ]


def recipients(shop: Shop) -> dict[object, tuple[object, object]]:
    """Status and skip reason of each recipient of the campaign that sends."""
    return {
        row["email"]: (row["status"], row["skip_reason"])
        for row in shop.query(
            "select recipients.*, email from marts.winback_recipients as recipients "
            "inner join marts.customers using (tenant_id, customer_id) "
            "where campaign_id = 'come-back'"
        )
    }


def recoveries(shop: Shop) -> set[tuple[object, object]]:
    return {
        (row["email"], row["trigger_reference_id"])
        for row in shop.query(
            "select tenant_id, email, trigger_reference_id from marts.stage_transitions "
            "inner join marts.customers using (tenant_id, customer_id) "
            "where trigger_type = 'winback_recovery'"
        )
    }


def performance(shop: Shop) -> tuple[object, ...]:
    """Sent, recovered, and what the recovered bought."""
    (row,) = shop.query("select * from marts.winback_performance where campaign_id = 'come-back'")
    return row["sent_count"], row["recovered_count"], row["recovered_amount"]


def messages(shop: Shop) -> list[Row]:
    return shop.query("select tenant_id, message_id from sync.sync_klaviyo__winback_events")


def enrol_everybody(shop: Shop) -> tuple[Enrolled, ...]:
    database = engine(shop.warehouse.settings)
    try:
        with database.begin() as connection:
            return enrol(connection, require_success(connection), shop.tenant.tenant_id)
    finally:
        database.dispose()


def send(shop: Shop, email: str, at: datetime) -> None:
    """Say that the destination took the message to somebody who is enrolled."""
    (row,) = shop.query(
        "select enrolments.* from outbox.campaign_enrolments as enrolments "
        "inner join marts.customers using (tenant_id, customer_id) "
        f"where campaign_id = 'come-back' and email = '{email}'"
    )
    enrolment = Enrolment(
        "come-back", str(row["customer_id"]), row["enrolled_at"], is_held_out=False
    )
    shop.warehouse.record(shop.tenant.tenant_id, {enrolment: Delivery("accepted", at)})


def winback(shop: Shop) -> Iterator[None]:
    """Prevents a message, an order or a merge that only a whole build sees, and a second message
    to somebody who was two people."""
    bought = AS_OF - 100 * DAY
    shop.arrive("shopify_orders", *(order(f"o-{email}", email, bought) for email in PEOPLE))
    shop.arrive("consent_changes", *map(subscribe, PEOPLE))
    yield
    assert len({row["message_id"] for row in messages(shop)}) == len(PEOPLE)
    assert enrol_everybody(shop) == (
        Enrolled("winback", "come-back", len(PEOPLE), 0),
        Enrolled("winback", "held", 0, len(PEOPLE)),
    )
    yield
    for email in (ADA, BEN, DORA):
        send(shop, email, AS_OF)
    came_back = order("o-again", BEN, AS_OF + DAY, "back10")
    came_back["refunds"] = [refund(AS_OF + 20 * DAY)]
    shop.arrive("shopify_orders", came_back, order("o-unsent", CLEO, AS_OF + DAY))
    shop.arrive("leads", *both_are_ada())
    yield
    assert recipients(shop) == {
        ADA: ("sent", None),
        BEN: ("recovered", None),
        CLEO: ("skipped", "purchased_since_enrolment"),
        DORA: ("sent", None),
    }
    assert recoveries(shop) == {(BEN, "campaign:come-back")}
    assert messages(shop) == []
    assert performance(shop) == (3, 1, 300)
    yield
    assert recipients(shop)[BEN] == ("expired", None)
    assert recoveries(shop) == set()
    assert performance(shop) == (3, 0, 0)


SOON = Campaign(**{**vars(COME_BACK), "campaign_id": "soon", "starts_at": LAST_DAY + DAY / 48})
SHORT = Campaign(**{**vars(COME_BACK), "campaign_id": "short", "ends_at": LAST_DAY + DAY / 48})


def ages(shop: Shop) -> set[tuple[object, ...]]:
    """The days since the purchase that each table shows, and what each campaign says."""
    return {
        (row["email"], row["scored_days"], row["stage_days"], row["campaign_id"], row["reason"])
        for row in shop.query(
            "select customers.tenant_id, email, scores.days_since_purchase as scored_days, "
            "stages.days_since_purchase as stage_days, campaign_id, eligibility.reason "
            "from marts.customers "
            "inner join marts.lead_scores as scores using (tenant_id, customer_id) "
            "inner join marts.customer_stages as stages using (tenant_id, customer_id) "
            "inner join marts.winback_eligibility as eligibility using (tenant_id, customer_id) "
            "where eligibility.days_inactive = scores.days_since_purchase"
        )
    }


def quiet(shop: Shop) -> Iterator[None]:
    """Prevents an age that stands still, and a campaign that begins or ends unnoticed, because
    nothing happened to the customer."""
    shop.arrive(
        "shopify_orders",
        order("o-ada", ADA, AS_OF - 100 * DAY + DAY / 48),
        order("o-ben", BEN, AS_OF - 100 * DAY - DAY / 2),
    )
    shop.arrive("consent_changes", subscribe(ADA), subscribe(BEN))
    for day in (0, 0, 2):
        yield
        assert {(email, days) for email, days, *_ in ages(shop)} == {
            (ADA, 99 + day),
            (BEN, 100 + day),
        }
    yield
    assert ages(shop) == {
        (ADA, 129, 129, "soon", "campaign_not_started"),
        (ADA, 129, 129, "short", None),
        (BEN, 130, 130, "soon", "campaign_not_started"),
        (BEN, 130, 130, "short", None),
    }
    yield
    assert ages(shop) == {
        (ADA, 130, 130, "soon", None),
        (ADA, 130, 130, "short", "campaign_ended"),
        (BEN, 130, 130, "soon", None),
        (BEN, 130, 130, "short", "campaign_ended"),
    }


def former_code(shop: Shop) -> Iterator[None]:
    """Prevents points of somebody without an account, which fail the build of every tenant: the
    code of a member who turns out to be a lead, and whose order was a test."""
    bought, lead = AS_OF - 9 * DAY, {"id": "l-cleo", "email": CLEO}
    shop.arrive("leads", {**lead, "captured_at": bought})
    shop.arrive("shopify_orders", order("o-ada", ADA, bought))
    yield
    code = str(adas(shop, "referral_code"))
    of_both = order("o-both", ADA, AS_OF - 5 * DAY) | {"financial_status": "pending"}
    shop.arrive(
        "shopify_orders",
        {**of_both, "customer": {"id": "1", "email": CLEO}},
        {**order("o-ada", ADA, bought), "updated_at": AS_OF - DAY, "test": True},
        order("o-eve", EVE, AS_OF - DAY),
    )
    shop.arrive("referrals", referral("r-eve", code, EVE))
    yield
    assert referrals(shop) == {"r-eve": "unknown_code"}
    assert set(codes(shop)) == {EVE}
    shop.arrive("shopify_orders", order("o-cleo", CLEO, AS_OF + DAY))
    yield
    assert referrals(shop) == {"r-eve": "converted"}
    assert adas(shop, "points_balance") == 380
    yield


def capped(shop: Shop) -> Iterator[None]:
    """Prevents a split that nobody learns of: what had minted the id ties too many, and nobody."""
    phone, at = "+49 171 2300009", AS_OF - 9 * DAY

    def visit(visit_id: str, email: str | None) -> Row:
        seen = {"id": visit_id, "phone": phone, "type": "page_view", "channel": "direct"}
        return {**seen, "email": email, "occurred_at": at}

    shop.arrive("touchpoints", visit("v-first", None))
    shop.arrive("touchpoints", visit("v-ben", BEN), visit("v-cleo", CLEO))
    yield
    assert len(shop.query("select * from marts.customers")) == 1
    shop.arrive("touchpoints", visit("v-dora", DORA), visit("v-eve", EVE))
    yield
    (redirect,) = shop.query("select tenant_id, customer_id from marts.customer_redirects")
    splits = shop.query("select tenant_id, split_from_customer_id from marts.customer_splits")
    assert [row["split_from_customer_id"] for row in splits] == [redirect["customer_id"]]
    yield
    yield


def ids(shop: Shop) -> dict[object, object]:
    """Whose each identifier is."""
    rows = shop.query("select tenant_id, identifier, customer_id from marts.customer_identities")
    return {row["identifier"]: row["customer_id"] for row in rows}


def redirects(shop: Shop) -> dict[object, object]:
    rows = shop.query(
        "select tenant_id, old_customer_id, customer_id from marts.customer_redirects"
    )
    return {row["old_customer_id"]: row["customer_id"] for row in rows}


def added(shop: Shop) -> Iterator[None]:
    """Prevents an id that changes, or a younger one that survives, because a known record was told
    another address: what it came with is older than what was added to it, and stays so."""
    at, phones = AS_OF - 9 * DAY, [f"+4917123000{number}" for number in (11, 12, 13)]
    profile = {"id": "k-ada", "phone_number": phones[0], "created": at, "updated": at}
    lead = {"id": "l-ben", "phone": phones[1], "captured_at": at}
    shop.arrive("klaviyo_profiles", profile)
    shop.arrive("leads", lead)
    shop.arrive("leads", {**lead, "id": "l-eve", "phone": None, "email": EVE})
    shop.arrive("shopify_orders", order("o-1", CLEO, at))
    shop.arrive("shopify_orders", {**order("o-2", CLEO, at), "phone": phones[2]})
    yield
    first = ids(shop)
    shop.arrive("klaviyo_profiles", {**profile, "email": ADA, "updated": AS_OF - DAY})
    shop.arrive("leads", {**lead, "email": EVE})
    changed = {**order("o-1", CLEO, at), "email": None, "phone": phones[2]}
    shop.arrive("shopify_orders", {**changed, "updated_at": AS_OF - DAY})
    yield
    now = ids(shop)
    assert now[ADA] == now["k-ada"] == first["k-ada"]
    assert now[EVE] == now["l-ben"] == first["l-ben"]
    assert redirects(shop) == {first[EVE]: first["l-ben"]}
    assert now[CLEO] == now[phones[2]] == first[CLEO]
    yield
    yield


def split_again(shop: Shop) -> Iterator[None]:
    """Prevents what is recorded under an old id from staying with the wrong one of two people who
    were taken for one: it follows what had minted the id."""
    phone, at = "+49 171 2300021", AS_OF - 9 * DAY

    def lead(lead_id: str, email: str) -> Row:
        return {"id": lead_id, "email": email, "phone": phone, "captured_at": at}

    shop.arrive("leads", lead("l-ada", ADA))
    shop.arrive("shopify_orders", order("o-ada", ADA, at), order("o-eve", EVE, at))
    yield
    of_eve, code = ids(shop)[EVE], codes(shop)[EVE]
    shop.arrive("leads", lead("l-eve", EVE), lead("l-eve-again", EVE))
    yield
    assert redirects(shop) == {of_eve: ids(shop)[ADA]}
    shop.arrive(
        "contacts",
        {"id": "c-ada", "email": ADA, "updated_at": AS_OF + DAY},
        {"id": "c-eve", "email": EVE, "updated_at": AS_OF + DAY},
    )
    shop.arrive("referrals", referral("r-ben", str(code), BEN))
    shop.arrive("shopify_orders", order("o-ben", BEN, AS_OF + DAY))
    yield
    assert ids(shop)[EVE] != ids(shop)[ADA]
    assert redirects(shop) == {of_eve: ids(shop)[EVE]}
    (used,) = shop.query("select * from marts.referrals")
    assert used["customer_id"] == ids(shop)[EVE]
    yield


def taken_over(shop: Shop) -> Iterator[None]:
    """Prevents the id of a buyer who was nobody yet from leading nowhere, once the order that a
    purchase named has arrived, or the purchase is told again with an address."""

    def purchase(touchpoint_id: str, **names: object) -> Row:
        return {
            "id": touchpoint_id,
            "type": "purchase",
            "channel": "direct",
            "value": Decimal(10),
            "occurred_at": AS_OF - 9 * DAY,
            **names,
        }

    named = {"reference_type": "order", "reference_id": "o-ada"}
    shop.arrive("touchpoints", purchase("t-ada", **named), purchase("t-ben"))
    yield
    bought = shop.query("select tenant_id, source_order_id, customer_id from marts.orders")
    nobody = {row["source_order_id"]: row["customer_id"] for row in bought}
    shop.arrive("shopify_orders", order("o-ada", ADA, AS_OF - 9 * DAY))
    shop.arrive("touchpoints", purchase("t-ben", email=BEN))
    yield
    assert redirects(shop) == {nobody["t-ada"]: ids(shop)[ADA], nobody["t-ben"]: ids(shop)[BEN]}
    yield
    yield


def clients(shop: Shop) -> dict[object, object]:
    rows = shop.query("select tenant_id, client_id, client_name from marts.client_journey")
    return {row["client_id"]: row["client_name"] for row in rows}


def first_seen(shop: Shop, email: str) -> object:
    rows = shop.query("select tenant_id, email, first_seen_at from marts.customers")
    return {row["email"]: row["first_seen_at"] for row in rows}[email]


def ahead(shop: Shop) -> Iterator[None]:
    """Prevents what files tell of the days after a build from showing in it, or from hiding what
    was known before, and what has come since from being missed, or from erasing the past."""
    captured = [
        {"kind": "sale", "status": "success", "amount": amount, "processed_at": at.isoformat()}
        for amount, at in (("100.00", AS_OF - DAY), ("200.00", AS_OF + DAY))
    ]
    shop.arrive(
        "shopify_orders", {**order("o-ada", ADA, AS_OF - 2 * DAY), "transactions": captured}
    )
    ben = {"id": "c-ben", "email": BEN}
    shop.arrive("contacts", {**ben, "name": "Ben & Co", "updated_at": AS_OF + DAY})
    shop.arrive("contacts", {**ben, "name": "Ben", "updated_at": AS_OF - 3 * DAY})
    shop.arrive("contacts", {**ben, "name": "Benjamin", "updated_at": AS_OF - 4 * DAY})
    for _ in (1, 2):
        yield
        assert [row["status"] for row in shop.query("select * from marts.orders")] == ["pending"]
        assert clients(shop) == {"c-ben": "Ben"}
        assert first_seen(shop, BEN) == AS_OF - 4 * DAY
    yield
    assert [row["status"] for row in shop.query("select * from marts.orders")] == ["paid"]
    assert clients(shop) == {"c-ben": "Ben & Co"}
    assert first_seen(shop, BEN) == AS_OF - 4 * DAY
    yield


STORIES: dict[str, Callable[[Shop], Iterator[None]]] = {
    story.__name__: story
    for story in (
        *(rewards, merged, friends, same_code, former_code, gifts, winback, quiet),
        *(capped, added, split_again, taken_over, ahead),
    )
}
TENANTS = {
    name: Tenant(name, "Australia/Sydney", "EUR", "AU")
    if name == "gifts"
    else Tenant(name, "Europe/Berlin", "EUR", "DE")
    for name in STORIES
}


@dataclass(frozen=True)
class Told:
    """How each story ended, and what the warehouse held before and after a full refresh."""

    failures: dict[str, Exception]
    partial: Contents
    refreshed: Contents


class Telling:
    """Stories that go on together from build to build; one that fails does not stop the others."""

    def __init__(self, stories: dict[str, Iterator[None]]) -> None:
        self.failures: dict[str, Exception] = {}
        self._stories = stories

    def go_on(self) -> None:
        """Take every story to where it waits for the next build, or to its end."""
        for name, story in list(self._stories.items()):
            try:
                next(story)
            except StopIteration:
                del self._stories[name]
            except Exception as failure:
                self.failures[name] = failure
                del self._stories[name]

    def end(self) -> None:
        """Take the stories to their end; one that waits for another build has failed."""
        self.go_on()
        for name in self._stories:
            self.failures[name] = AssertionError(f"{name} waits for a build after the last one")


@pytest.fixture(scope="module")
def told(project: Project, worlds_warehouse: Worlds) -> Told:
    """The stories, told to their end by a whole build, four partial ones and a full refresh."""
    campaigns = {"winback": (COME_BACK, NOBODY_SENT), "quiet": (SOON, SHORT)}
    worlds = [
        World(0, tenant, ((),), campaigns=campaigns.get(name, ()))
        for name, tenant in TENANTS.items()
    ]
    with project.own_seeds() as seeds, worlds_warehouse(worlds) as warehouse:
        (seeds / "rewards.csv").write_text(REWARDS)
        telling = Telling(
            {name: story(Shop(warehouse, TENANTS[name])) for name, story in STORIES.items()}
        )
        for as_of in CALENDAR:
            telling.go_on()
            warehouse.build(as_of)
        telling.end()
        partial = warehouse.contents(PUBLISHED)
        warehouse.build(CALENDAR[-1], full_refresh=True)
        return Told(telling.failures, partial, warehouse.contents(PUBLISHED))


@pytest.mark.parametrize("name", STORIES)
def test_a_story_is_followed(told: Told, name: str) -> None:
    """Prevents what the story says that it prevents."""
    if name in told.failures:
        raise told.failures[name]


@pytest.mark.parametrize("name", STORIES)
def test_a_full_refresh_changes_nothing(told: Told, name: str) -> None:
    """Prevents a row that only a rebuild from nothing would bring, change or take away."""
    tenant = TENANTS[name]
    partial, refreshed = of(tenant, told.partial), of(tenant, told.refreshed)
    differing = partial.keys() | refreshed.keys()
    none: Counter[str] = Counter()
    assert {
        table: (partial.get(table, none), refreshed.get(table, none))
        for table in differing
        if partial.get(table) != refreshed.get(table)
    } == {}
