"""The fixed facts of the made-up world: tenants, calendar, names, products, sources."""

from __future__ import annotations

import zlib
from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

import numpy as np

DAY = 86_400
START = int(datetime(2025, 1, 1, tzinfo=UTC).timestamp())
AS_OF = int(datetime(2026, 7, 1, tzinfo=UTC).timestamp())
LAST = AS_OF - 60
AS_OF_TEXT = "2026-07-01T00:00:00Z"

COLLECTIONS = ("grounding", "wholeness", "growth")


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


@dataclass(frozen=True)
class Tenant:
    """One made-up business. `share` is its part of all customers."""

    tenant_id: str
    share: float
    currency: str
    region: str
    country_code: str
    phone_prefixes: tuple[str, ...]
    subscriber_digits: int
    first_names: tuple[str, ...]
    last_names: tuple[str, ...]


AURORA = Tenant(
    tenant_id="aurora",
    share=0.60,
    currency="EUR",
    region="DE",
    country_code="49",
    phone_prefixes=("160", "170", "171", "172", "173", "174", "175"),
    subscriber_digits=7,
    first_names=_words(
        "Anna Ben Clara David Elena Finn Greta Hannah Ida Jonas Käthe Lena Mia Noah Ole Paula "
        "Quirin Rosa Sophie Tom Ulla Vera Wim Yara Zoë Lukas Emil Johanna Jürgen Sören Ingrid "
        "Björn Maja Nils Frida Karl Lotte Moritz Nele Oskar Pia Ruben Selma Theo"
    ),
    last_names=_words(
        "Müller Schmidt Schneider Fischer Weber Meyer Wagner Becker Schulz Hoffmann Koch Bauer "
        "Richter Klein Wolf Schröder Neumann Schwarz Zimmermann Braun Krüger Hofmann Hartmann "
        "Lange Werner Krause Lehmann Köhler Maier Huber Fuchs Vogel Keller Roth Böhm Jansen "
        "Lindgren Andersen Novak Rossi"
    ),
)
BLUEGUM = Tenant(
    tenant_id="bluegum",
    share=0.25,
    currency="AUD",
    region="AU",
    country_code="61",
    phone_prefixes=tuple(f"40{digit}" for digit in range(10)),
    subscriber_digits=6,
    first_names=_words(
        "Olivia Jack Charlotte William Isla Leo Ava Henry Mia Noah Grace Thomas Ruby Oscar Ella "
        "Lachlan Chloe Cooper Zoe Archie Matilda Hudson Evie Banjo Daisy Angus Poppy Hamish Tess "
        "Callum Kirra Jarrah Billie Dean Freya Gus Harriet Imogen Jasper Kylie"
    ),
    last_names=_words(
        "Smith Jones Williams Brown Wilson Taylor Nguyen Johnson Martin White Anderson Walker "
        "Thompson Thomas Lee Harris Ryan Robinson Kelly King Davis Wright Evans Roberts Green "
        "Hall Wood Jackson Clarke Patel Khan Campbell Young Mitchell Cooper Murphy O'Brien "
        "Papadopoulos Rossi Chen"
    ),
)
KENTE = Tenant(
    tenant_id="kente",
    share=0.15,
    currency="GHS",
    region="GH",
    country_code="233",
    phone_prefixes=("24", "54", "55", "20", "50", "26", "56", "27", "57"),
    subscriber_digits=7,
    first_names=_words(
        "Ama Kwame Akosua Kofi Abena Yaw Efua Kwesi Adwoa Kojo Esi Kwabena Afia Kweku Akua Yaa "
        "Nana Araba Ebo Fiifi Maame Nii Naa Selorm Dzifa Edem Mawuli Enyonam Senam Delali"
    ),
    last_names=_words(
        "Mensah Owusu Osei Boateng Asante Agyeman Appiah Amoah Ofori Annan Quaye Lartey Tetteh "
        "Addo Darko Frimpong Acheampong Antwi Baah Danso Gyasi Kumi Nkrumah Opoku Sarpong Tawiah "
        "Yeboah Adjei Ansah Badu"
    ),
)
TENANTS = (AURORA, BLUEGUM, KENTE)

NETWORK_BY_PREFIX = {
    "24": "MTN",
    "54": "MTN",
    "55": "MTN",
    "20": "Telecel",
    "50": "Telecel",
    "26": "AirtelTigo",
    "56": "AirtelTigo",
    "27": "AirtelTigo",
    "57": "AirtelTigo",
}


@dataclass(frozen=True)
class Product:
    """One thing to buy; `cents` in the order's currency."""

    product_id: int
    sku: str
    title: str
    collection: str
    cents: int


_RANGES = {
    "grounding": ("Cedar candle", "Foot balm", "Clay mask", "Weighted blanket", "Stone set"),
    "wholeness": ("Herbal tea", "Body oil", "Linen robe", "Bath ritual box", "Singing bowl"),
    "growth": ("Seed journal", "Morning tonic", "Course access", "Mentor hour", "Retreat day"),
}
_PRICES = (1_400, 2_200, 3_600, 8_900, 14_900)
PRODUCTS = tuple(
    Product(
        product_id=7_000_000_000 + row * 10 + column,
        sku=f"{collection[:5].upper()}-{column + 1:02d}",
        title=title,
        collection=collection,
        cents=_PRICES[column] + row * 150,
    )
    for row, (collection, titles) in enumerate(_RANGES.items())
    for column, title in enumerate(titles)
)
PRODUCTS_PER_COLLECTION = len(_PRICES)


@dataclass(frozen=True)
class Source:
    """How one source's files look: columns in order, format, and the period one file covers."""

    columns: tuple[str, ...]
    suffix: str = ".csv"
    period: str = "half"


SOURCES: dict[str, Source] = {
    "shopify_orders": Source(
        _words(
            "id name email phone created_at updated_at processed_at cancelled_at cancel_reason "
            "test currency financial_status fulfillment_status total_price subtotal_price "
            "total_discounts total_tax customer line_items refunds transactions discount_codes "
            "shipping_address billing_address landing_site referring_site source_name "
            "note_attributes tags"
        ),
        ".jsonl",
        "quarter",
    ),
    "eventbrite_orders": Source(
        _words(
            "id event_id name first_name last_name email created changed status costs promo_code"
        ),
        ".jsonl",
        "quarter",
    ),
    "eventbrite_attendees": Source(
        _words(
            "id order_id event_id created changed ticket_class_name quantity status cancelled "
            "refunded checked_in profile costs"
        ),
        ".jsonl",
        "quarter",
    ),
    "humanitix_orders": Source(
        _words(
            "_id eventId firstName lastName email mobile status financialStatus currency "
            "purchaseTotals totals discounts createdAt completedAt updatedAt isTest"
        ),
        ".jsonl",
        "quarter",
    ),
    "humanitix_tickets": Source(
        _words(
            "_id orderId eventId status firstName lastName email ticketTypeName price discount "
            "total refunded cancelledAt createdAt updatedAt"
        ),
        ".jsonl.gz",
        "quarter",
    ),
    "shop_orders": Source(
        _words(
            "id shop_id slug phone_number email customer_name network total_price currency "
            "payment_method status refunded_amount created_at updated_at referrer utm_source "
            "utm_medium utm_campaign"
        ),
        period="quarter",
    ),
    "shop_visits": Source(
        _words(
            "id shop_id slug session phone email accessed_at referrer utm_source utm_medium "
            "utm_campaign order_id"
        ),
        period="quarter",
    ),
    "touchpoints": Source(
        _words(
            "id email phone anonymous_id shopify_customer_id klaviyo_profile_id type channel "
            "reference_id reference_type metadata value collection utm_source utm_medium "
            "utm_campaign occurred_at"
        ),
        period="month",
    ),
    "leads": Source(_words("id email first_name last_name phone source captured_at")),
    "klaviyo_profiles": Source(
        _words(
            "id email phone_number first_name last_name email_consent email_consent_at "
            "sms_consent sms_consent_at email_suppressed created updated"
        )
    ),
    "consent_changes": Source(_words("id email phone channel subscribed reason changed_at")),
    "contacts": Source(_words("id name email ai_score status updated_at"), period="all"),
    "client_journey_events": Source(
        _words("id client_id stage event_type metadata occurred_at"), period="all"
    ),
    "referrals": Source(
        _words("id referral_code referred_email referred_phone order_id used_at"), period="all"
    ),
    "redemption_requests": Source(_words("id email phone reward_id requested_at"), period="all"),
    "loyalty_adjustments": Source(
        _words("id email phone type points reason occurred_at"), period="all"
    ),
    "gifts": Source(
        _words(
            "id order_id sender_email sender_name recipient_email recipient_name message "
            "scheduled_delivery_at created_at"
        ),
        period="all",
    ),
    "gift_claims": Source(_words("id gift_code email claimed_at"), period="all"),
    "coupons": Source(
        _words(
            "id code discount_type value buy_quantity get_quantity usage_limit "
            "usage_limit_per_customer minimum_purchase_amount minimum_quantity "
            "restricted_collections restricted_products first_time_only starts_at expires_at "
            "status updated_at"
        ),
        period="half",
    ),
    "static_segment_members": Source(
        _words("segment_id email phone added_at removed_at"), period="all"
    ),
    "erasure_requests": Source(_words("id email phone requested_at"), period="all"),
}

SOURCES_BY_TENANT: dict[str, tuple[str, ...]] = {
    "aurora": (
        "shopify_orders",
        "touchpoints",
        "leads",
        "klaviyo_profiles",
        "consent_changes",
        "contacts",
        "client_journey_events",
        "referrals",
        "redemption_requests",
        "loyalty_adjustments",
        "gifts",
        "gift_claims",
        "coupons",
        "static_segment_members",
        "erasure_requests",
    ),
    "bluegum": (
        "eventbrite_orders",
        "eventbrite_attendees",
        "humanitix_orders",
        "humanitix_tickets",
        "touchpoints",
        "klaviyo_profiles",
        "consent_changes",
        "coupons",
        "erasure_requests",
    ),
    "kente": ("shop_orders", "shop_visits", "erasure_requests"),
}

LATE = "2026-07-late"


def _period_starts(months: int) -> tuple[list[int], list[str]]:
    """Starts and names of the periods of that many months which cover the sample's history."""
    starts, names = [], []
    for first in range(0, 18, months):
        year, month = 2025 + first // 12, first % 12 + 1
        starts.append(int(datetime(year, month, 1, tzinfo=UTC).timestamp()))
        names.append(
            {
                1: f"{year}-{month:02d}",
                3: f"{year}-q{(month + 2) // 3}",
                6: f"{year}-h{(month + 5) // 6}",
                18: "all",
            }[months]
        )
    return starts, names


PERIODS = {
    name: _period_starts(months)
    for name, months in {"month": 1, "quarter": 3, "half": 6, "all": 18}.items()
}


def period_of(period: str, at: int) -> str:
    """Name of the file that an event at that second belongs to; the nearest, when outside."""
    starts, names = PERIODS[period]
    return names[max(0, bisect_right(starts, at) - 1)]


@lru_cache(maxsize=4096)
def _day_text(day: int) -> str:
    return datetime.fromtimestamp(day * DAY, UTC).strftime("%Y-%m-%d")


def utc(at: int) -> str:
    """Seconds since the epoch as ISO 8601 in UTC."""
    day, rest = divmod(at, DAY)
    return f"{_day_text(day)}T{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}Z"


def berlin(at: int) -> str:
    """Seconds since the epoch as ISO 8601 with a +01:00 offset, the way a shop writes it."""
    return utc(at + 3600)[:-1] + "+01:00"


def money(cents: int) -> str:
    """Cents as the decimal text that shop systems send."""
    return f"{cents // 100}.{cents % 100:02d}"


def stream(seed: int, *path: str | int) -> np.random.Generator:
    """A random stream of its own for each path, so that no part of the sample disturbs another."""
    return np.random.default_rng(
        [seed, *(part if isinstance(part, int) else zlib.crc32(part.encode()) for part in path)]
    )
