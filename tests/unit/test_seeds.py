"""What people write into the seeds by mistake, and what they are told."""

from __future__ import annotations

import random
import shutil
from functools import cache
from pathlib import Path

import pytest

from orchestration.ingest.contracts import read_contracts
from orchestration.seeds.check import check_seeds, findings, read_seeds
from orchestration.seeds.declarations import Declaration, read_declarations
from orchestration.seeds.files import SeedError
from orchestration.settings import DBT_PROJECT_DIR, SEEDS_DIR

RFM, BANDS, TIERS = "rfm_thresholds", "lead_bands", "loyalty_tiers"
SEGMENTS, CAMPAIGNS, RULES = (
    "segment_definitions", "winback_campaign_definitions", "identity_rules",
)  # fmt: skip
KEY_IS_TAKEN = "stands in line {} already; change one"


@pytest.fixture
def seeds(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SEEDS_DIR, tmp_path / "seeds"))


def replace(seeds: Path, seed: str, old: str, new: str) -> None:
    """Replace a text that stands in the file exactly once."""
    file = seeds / f"{seed}.csv"
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1, (seed, old)
    file.write_text(text.replace(old, new), encoding="utf-8")


def append(seeds: Path, seed: str, *lines: str) -> None:
    with (seeds / f"{seed}.csv").open("a", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)


def told(seeds: Path) -> list[str]:
    """The findings, a line each."""
    return [str(finding) for finding in findings(read_seeds(seeds, declared()))]


@cache
def declared() -> dict[str, Declaration]:
    return read_declarations(SEEDS_DIR)


def test_the_seeds_of_the_project_are_sound() -> None:
    """Prevents a release that no build can begin with."""
    rows = check_seeds(SEEDS_DIR)
    assert set(rows) == {file.stem for file in SEEDS_DIR.glob("*.csv")}
    assert rows["tenants"]


def test_every_finding_is_told_at_once_in_the_order_of_the_files(seeds: Path) -> None:
    """Prevents a build per mistake."""
    replace(seeds, "tenants", "GHS", "GHZ")
    replace(seeds, RFM, "*,recency,4,31,61", "*,recency,4,32,61")
    replace(seeds, "collections", "growth,3", "growth,three")
    assert told(seeds) == [
        "seeds/collections.csv line 4: collection_order: 'three' is not a whole number",
        "seeds/rfm_thresholds.csv line 3: recency: nothing covers 31 to below 32, between line 2 "
        "and this one; let it start at 31",
        "seeds/tenants.csv line 4: currency 'GHZ' is no ISO 4217 code like EUR",
    ]


def test_many_findings_are_counted(seeds: Path) -> None:
    """Prevents a record of a build that holds a whole file of complaints."""
    append(seeds, "collections", *(f"nobody,c{number},{number}" for number in range(21)))
    with pytest.raises(SeedError) as caught:
        check_seeds(seeds)
    first, *listed, last = str(caught.value).splitlines()
    assert first == "The seeds cannot be used, so no model is built."
    assert listed == told(seeds)[:20]
    assert last == "and 1 more"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "seeds/collections.csv: cannot be read: No such file"),
        (b"", "line 1: column tenant_id, collection, collection_order is missing"),
        (b"tenant_id,collection\n*,a\n", "line 1: column collection_order is missing. The columns"),
        (
            b"tenant_id;collection;collection_order\n*;a;1\n",
            "column tenant_id;collection;collection_order is unknown",
        ),
        (b"tenant_id,collection,collection_order,x\n*,a,1,\n", "line 1: column x is unknown"),
        (
            b"tenant_id,collection,collection_order,collection\n*,a,1,a\n",
            "line 1: column collection stands twice",
        ),
        (
            b"tenant_id,collection,collection_order\n*,a,1\n*,b\n",
            "line 3: has 2 values for 3 columns",
        ),
        (
            b"tenant_id,collection,collection_order\n*,a,1\n*,b,c,2\n",
            "line 3: has 4 values for 3 columns",
        ),
        (b"tenant_id,collection,collection_order\n*,a,1\n\n*,b,2\n", "line 3: is empty"),
        (b"tenant_id,collection,collection_order\n*,a,1\n*,gr\xfcn,2\n", "line 3: is not UTF-8"),
        (b'tenant_id,collection,collection_order\n*,"a"b,1\n', "line 2: is not CSV"),
        (b'tenant_id,collection,collection_order\n*,a,1\n*,"b,2\n', "line 3: is not CSV"),
        (
            b"tenant_id,collection,collection_order\n*, a,1\n",
            "line 2: collection: ' a' has blanks around it",
        ),
    ],
)
def test_a_file_that_is_not_the_csv_it_should_be(
    seeds: Path, content: bytes | None, words: str
) -> None:
    """Prevents values that slip into another column, or a file that dbt reads in another way."""
    file = seeds / "collections.csv"
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    assert words in told(seeds)[0]
    assert all(finding.startswith("seeds/collections.csv") for finding in told(seeds))


def test_a_value_of_several_lines_moves_the_others_down(seeds: Path) -> None:
    """Prevents a line number that leads to a sound row."""
    replace(seeds, SEGMENTS, "First order in the last 30 days", '"First order\nin 30 days"')
    replace(seeds, SEGMENTS, "list-vips,every", "list-vips,always")
    replace(seeds, SEGMENTS, "list-new-customers,once", "list-new-customers,never")
    assert [finding.partition(": re")[0] for finding in told(seeds)] == [
        f"seeds/{SEGMENTS}.csv line 2",
        f"seeds/{SEGMENTS}.csv line 4",
    ]


def test_what_spreadsheets_write_is_read(seeds: Path) -> None:
    """Prevents a file from being refused for its byte order mark, line ends or quotation marks."""
    (seeds / "collections.csv").write_bytes(
        '\ufeffcollection,tenant_id,collection_order\r\n"grounding",*,1\r\ngrün,*,2\r\n'.encode()
    )
    replace(seeds, CAMPAIGNS, "grounding|wholeness", "grounding|grün")
    assert told(seeds) == []


@pytest.mark.parametrize(
    ("seed", "old", "new", "words"),
    [
        (
            "exchange_rates",
            "GBP,EUR,2024-12-01,",
            "GBP,EUR,2024-02-30,",
            "valid_from: '2024-02-30' is not a date",
        ),
        (
            "exchange_rates",
            "GBP,EUR,2024-12-01,",
            "GBP,EUR,20241201,",
            "valid_from: '20241201' is not a date",
        ),
        ("exchange_rates", "2024-12-01,1.1650", "2024-12-01,0", "rate: 0 is below 0.000001"),
        ("exchange_rates", "2024-12-01,1.1650", "2024-12-01,", "rate: a value is needed"),
        (
            "exchange_rates",
            "GBP,EUR,2024-12-01,",
            "GBX,EUR,2024-12-01,",
            "currency 'GBX' is no ISO 4217",
        ),
        (
            "exchange_rates",
            "GBP,EUR,2024-12-01,",
            "GBP,eur,2024-12-01,",
            "to_currency 'eur' is no ISO 4217",
        ),
        ("currency_minor_units", "BHD,3", "BHX,3", "currency 'BHX' is no ISO 4217"),
        (
            "blocked_identifiers",
            "*,email,test@%",
            "*,email,Test@%",
            "pattern: 'Test@%' never matches; write 'test@%'",
        ),
        (
            "blocked_identifiers",
            "*,email,test@%",
            "*,email,test@\\",
            "pattern: test@\\ ends in a backslash; write two for one",
        ),
        (
            "quality_rules",
            "rows_per_load,0.1,10,",
            "rows_per_load,10,0.1,",
            "minimum 10 is above maximum 0.1, so the rule never holds",
        ),
        ("tenants", "Europe/Berlin", "Europe/Atlantis", "time_zone 'Europe/Atlantis' is unknown"),
        ("tenants", "Europe/Berlin", "localtime", "time_zone 'localtime' is unknown"),
        ("tenants", "EUR,DE", "EUR,XX", "phone_region 'XX' is no region"),
        ("tenants", "EUR,DE", "EUE,DE", "currency 'EUE' is no ISO 4217"),
        ("tenants", "aurora,Aurora", "Aurora,Aurora", "tenant_id 'Aurora' must be lower-case"),
        (
            "tenant_settings",
            "lead_at_risk_days,30",
            "lead_at_risk_days,thirty",
            "value: 'thirty' is not a number",
        ),
        (
            "tenant_settings",
            "lead_at_risk_days,30",
            "lead_at_risk_days,",
            "lead_at_risk_days needs a number",
        ),
        ("tenant_settings", "lead_at_risk_days,30", "lead_at_risk_days,-1", "value: -1 is below 0"),
        (
            "tenant_settings",
            "lead_at_risk_days,30",
            "lead_at_risk_days,99999999999",
            "lead_at_risk_days 99999999999 is above 36500",
        ),
        (
            "tenant_settings",
            "lead_at_risk_days,30",
            "lead_at_risk_days,30.5",
            "value: lead_at_risk_days 30.5 is no whole number",
        ),
        (
            "tenant_settings",
            "points_expiry_months,12",
            "points_expiry_months,0.5",
            "value: points_expiry_months 0.5 is no whole number",
        ),
        (
            "tenant_settings",
            "lead_at_risk_days,30",
            "lead_risk_days,30",
            "setting: 'lead_risk_days' is none of",
        ),
        (
            "tenant_settings",
            "kente,points_per_unit,0.5",
            "kente,points_per_unit,",
            "points_per_unit needs a number",
        ),
        (
            "tenant_settings",
            "kente,points_per_unit",
            "nobody,points_per_unit",
            "tenant_id: 'nobody' is none of *, aurora",
        ),
        (
            "identifier_types",
            "email,1,true,5",
            "email,1,yes,5",
            "is_strong: 'yes' is not true or false",
        ),
        ("identifier_types", "email,1,true,5", "email,1,true,0", "cap: 0 is below 1"),
        (
            "identifier_types",
            "email,1,true,5",
            "email,2,true,5",
            "strength_order 2 stands in line 2",
        ),
        (RFM, "*,recency,5,0,31", "*,recency,6,0,31", "points: 6 is above 5"),
        (RFM, "*,recency,5,0,31", "*,recency,5.5,0,31", "points: '5.5' is not a whole number"),
        (BANDS, "cold,6", "freezing,6", "band: 'freezing' is none of cold, cool, hot, warm"),
        (BANDS, "*,cold,6,11,4", "*,cold,,11,4", "min_score: a value is needed"),
        (
            TIERS,
            "*,seedling,Seedling,0,,,1,0,false",
            "*,seedling,Seedling,0,,,1,0,no",
            "has_free_shipping: 'no' is not",
        ),
        (TIERS, "pine,4", "pine,3", "tenant_id *, tier_order 3 stands in line 4"),
        (SEGMENTS, ",vip,", ",vip|gold,", "stages: 'gold' is none of"),
        (SEGMENTS, ",vip,", ",vip|,", "stages: '' is none of at_risk"),
        (
            SEGMENTS,
            ",hot|warm,",
            ",hot|tepid,",
            "lead_bands: 'tepid' is none of cold, cool, hot, warm (see seeds/lead_bands.csv)",
        ),
        (
            SEGMENTS,
            ",,grounding,,",
            ",,grunding,,",
            "collections: 'grunding' is none of grounding, growth, wholeness",
        ),
        (
            SEGMENTS,
            "list-vips,every",
            "list-vips,always",
            "reentry_policy: 'always' is none of cooldown, every, once",
        ),
        (
            SEGMENTS,
            "cooldown,90",
            "cooldown,",
            "reentry_cooldown_days: the policy cooldown needs a number",
        ),
        ("tenant_settings", "recency_weight,3", "recency_weight,", "recency_weight needs a number"),
        (CAMPAIGNS, "We miss you,at_risk,", "We miss you,,", "target_stages: a value is needed"),
        (
            CAMPAIGNS,
            "We miss you,at_risk,",
            "We miss you,vip,",
            "target_stages: 'vip' is none of at_risk, churned",
        ),
        (
            CAMPAIGNS,
            "grounding|wholeness",
            "grounding|wholenes",
            "target_collections: 'wholenes' is none of",
        ),
        (
            CAMPAIGNS,
            "2025-06-01T00:00:00Z,2027",
            "2025-06-31T00:00:00Z,2027",
            "starts_at: '2025-06-31T00:00:00Z' is a day that does not exist",
        ),
        (
            CAMPAIGNS,
            "2025-06-01T00:00:00Z,2027",
            "tomorrow,2027",
            "starts_at: 'tomorrow' is not a date and time",
        ),
        (
            CAMPAIGNS,
            "percentage_discount,15",
            "percentage_discount,",
            "incentive_value: a percentage_discount needs a number",
        ),
        (
            CAMPAIGNS,
            "fixed_discount,20",
            "fixed_discount,",
            "incentive_value: a fixed_discount needs a number",
        ),
        (
            CAMPAIGNS,
            "bluegum,bluegum-back",
            "*,bluegum-back",
            "tenant_id: '*' is none of aurora, bluegum, kente",
        ),
    ],
)
def test_a_value_that_is_none(seeds: Path, seed: str, old: str, new: str, words: str) -> None:
    """Prevents a typing error that dbt rounds, guesses at, or compares with nothing."""
    replace(seeds, seed, old, new)
    text = (seeds / f"{seed}.csv").read_text(encoding="utf-8")
    line = text[: text.index(new)].count("\n") + 1
    found = told(seeds)
    assert any(
        finding.startswith(f"seeds/{seed}.csv line ") and words in finding for finding in found
    ), found
    if "stands in" not in words:
        assert any(f"line {line}: " in finding for finding in found), found


def test_a_key_that_stands_twice(seeds: Path) -> None:
    """Prevents a tenant with two currencies, and a rate that is two."""
    append(seeds, "tenants", "kente,Kente again,Africa/Accra,GHS,GH")
    append(seeds, "exchange_rates", "GBP,EUR,2024-12-01,1.2")
    last = len((seeds / "exchange_rates.csv").read_text().splitlines())
    assert told(seeds) == [
        f"seeds/exchange_rates.csv line {last}: currency GBP, to_currency EUR, valid_from "
        f"2024-12-01 {KEY_IS_TAKEN.format(2)}",
        f"seeds/tenants.csv line 5: tenant_id kente {KEY_IS_TAKEN.format(4)}",
    ]


def test_a_setting_or_dimension_without_a_default(seeds: Path) -> None:
    """Prevents a rule that is off because its number was deleted."""
    replace(seeds, "tenant_settings", "*,vip_lapse_days", "aurora,vip_lapse_days")
    for points in ("5,1000,", "4,500,1000", "3,200,500", "2,50,200", "1,,50"):
        replace(seeds, RFM, f"*,monetary,{points}\n", "")
    assert told(seeds) == [
        "seeds/rfm_thresholds.csv: monetary has no row for *; add *,monetary,…",
        "seeds/tenant_settings.csv: vip_lapse_days has no row for *; add *,vip_lapse_days,…",
    ]


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("recency,5,0,31", "recency,5,1,31", 2, "nothing covers values below 1; let it start at 0"),
        ("recency,5,0,31", "recency,5,-1,31", 0, ""),
        ("recency,5,0,31", "recency,5,,31", 0, ""),
        ("recency,4,31,61", "recency,4,30,61", 3, "overlaps line 2, which goes on to below 31"),
        ("recency,4,31,61", "recency,4,31.01,61", 3, "nothing covers 31 to below 31.01"),
        ("recency,4,31,61", "recency,4,31,60", 4, "nothing covers 60 to below 61"),
        ("recency,4,31,61", "recency,4,31,62", 4, "overlaps line 3, which goes on to below 62"),
        ("recency,4,31,61", "recency,4,31,", 4, "overlaps line 3, which goes on without end"),
        ("recency,4,31,61", "recency,4,61,31", 3, "holds nothing: it starts at 61 and ends before"),
        ("recency,1,181,", "recency,1,181,9999", 6, "values from 9999 on; leave its end empty"),
        ("frequency,1,,1", "frequency,1,0,1", 0, ""),
        ("monetary,1,,50", "monetary,1,0,50", 16, "values below 0; leave its start empty"),
        ("monetary,5,1000,", "monetary,5,,", 13, "overlaps line 12, which goes on without end"),
    ],
)
def test_thresholds_that_leave_gaps_or_overlap(
    seeds: Path, old: str, new: str, line: int, words: str
) -> None:
    """Prevents customers without points, or with points twice."""
    replace(seeds, RFM, f"*,{old}\n", f"*,{new}\n")
    found = told(seeds)
    if not line:
        assert found == []
        return
    start = f"seeds/rfm_thresholds.csv line {line}: {old.split(',')[0]}: "
    assert any(finding.startswith(start) and words in finding for finding in found), found


def test_a_tenants_own_thresholds_must_be_whole_too(seeds: Path) -> None:
    """Prevents a tenant whose own rows replace the defaults by half."""
    append(seeds, RFM, "kente,recency,5,0,50", "kente,recency,1,50,")
    assert told(seeds) == []
    append(seeds, RFM, "kente,frequency,5,10,")
    assert told(seeds) == [
        "seeds/rfm_thresholds.csv line 19: frequency: nothing covers values below 10; "
        "let it start at 0"
    ]


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("warm,18,23", "warm,19,23", 3, "nothing covers 18 to below 19"),
        ("warm,18,23", "warm,18,22", 2, "nothing covers 23 to below 24"),
        ("warm,18,23", "warm,17,23", 3, "overlaps line 4, which goes on to below 18"),
        ("cold,6,11", "cold,5,11", 0, ""),
        ("cold,6,11", "cold,7,11", 5, "nothing covers values below 7; let it start at 6"),
        ("hot,24,30", "hot,24,31", 0, ""),
        ("hot,24,30", "hot,24,29", 2, "values from 30 on; let it go up to below 31"),
        ("hot,24,30", "hot,30,24", 2, "holds nothing"),
    ],
)
def test_bands_that_leave_scores_out(
    seeds: Path, old: str, new: str, line: int, words: str
) -> None:
    """Prevents a score without a band, or with two."""
    replace(seeds, BANDS, f"*,{old}", f"*,{new}")
    found = told(seeds)
    if not line:
        assert found == []
        return
    start = f"seeds/lead_bands.csv line {line}: "
    assert any(finding.startswith(start) and words in finding for finding in found), found


def test_bands_follow_the_weights_of_the_tenant(seeds: Path) -> None:
    """Prevents a changed weight from giving scores that no band of the tenant holds."""
    append(seeds, "tenant_settings", "kente,monetary_weight,2,score per point,Value counts more")
    assert told(seeds) == [
        "seeds/lead_bands.csv line 2: nothing covers values from 31 on; let it go up to below 36"
    ]
    append(seeds, BANDS, "kente,hot,20,35,1", "kente,cold,7,19,2")
    assert told(seeds) == []


@pytest.mark.parametrize(
    ("seed", "old", "new", "words"),
    [
        (
            "shop_buckets",
            "purchase_decay,31 to 60 days,31,61",
            "purchase_decay,31 to 60 days,32,61",
            "line 8: purchase_decay: nothing covers 31 to below 32",
        ),
        (
            "shop_buckets",
            "11 or more,11,",
            "11 or more,11,99",
            "line 6: purchase_frequency: nothing",
        ),
        (
            "client_risk_factors",
            "low_engagement,1,3,30,",
            "low_engagement,1,3,,",
            "line 2: window_days: low_engagement needs a number",
        ),
        (
            "client_risk_factors",
            "late_invoices,2,,,",
            "late_invoices,2,,30,",
            "line 3: window_days: late_invoices goes by none",
        ),
        ("client_risk_levels", "LOW,0,low", "LOW,1,low", "no level holds from 0 risks on"),
        (
            "client_actions",
            "stage,churn_risk,",
            "risk,churn_risk,",
            "line 6: trigger_type: churn_risk is a stage",
        ),
        (
            "client_actions",
            "risk,late_invoices,email_outreach,",
            "risk,late_invoices,,",
            "line 9: action: empty; leave the row out instead",
        ),
        (
            "client_stages",
            "*,billing,6,25\n",
            "",
            "client_stages.csv: billing has no row for *",
        ),
    ],
)
def test_numbers_of_shops_and_clients(
    seeds: Path, seed: str, old: str, new: str, words: str
) -> None:
    """Prevents customers in no group, and clients whose risks or stage have no number."""
    replace(seeds, seed, old, new)
    assert words in "\n".join(told(seeds))


def test_every_stage_of_a_client_event_has_its_order_and_weight() -> None:
    """Prevents an event that loads and then has no place: files and seed know the same stages."""
    events = read_contracts(DBT_PROJECT_DIR)["client_journey_events"]
    rows = read_seeds(SEEDS_DIR, declared())["client_stages"].rows
    assert set(events.column("stage").allowed) == {row["stage"] for row in rows}


def test_a_tier_that_nobody_can_hold(seeds: Path) -> None:
    """Prevents a tier whose members are all in the next one already."""
    replace(seeds, TIERS, "bloom,Bloom,250,,2", "bloom,Bloom,750,500,4")
    assert told(seeds) == [
        "seeds/loyalty_tiers.csv line 3: bloom is never held, because canopy in line 4 stands "
        "above it and asks for nothing more"
    ]
    replace(seeds, TIERS, "bloom,Bloom,750,500,4", "bloom,Bloom,749,500,4")
    assert told(seeds) == []


@pytest.mark.parametrize("number", ["lifetime_value", "orders", "days_since_purchase"])
def test_a_segment_that_asks_for_more_than_it_allows(seeds: Path, number: str) -> None:
    """Prevents a segment that is empty for ever without anyone knowing why."""
    values = {f"min_{number}": "10", f"max_{number}": "10"}
    header = (seeds / f"{SEGMENTS}.csv").read_text().splitlines()[0].split(",")
    fixed = {
        "tenant_id": "aurora", "segment_id": "new", "segment_name": "New", "description": "New",
        "is_dynamic": "true", "is_active": "true", "sync_enabled": "false",
        "reentry_policy": "every",
    }  # fmt: skip
    append(seeds, SEGMENTS, ",".join((fixed | values).get(column, "") for column in header))
    assert told(seeds) == []
    replace(seeds, SEGMENTS, "aurora,new,", "aurora,equal,")
    values[f"max_{number}"] = "9"
    append(seeds, SEGMENTS, ",".join((fixed | values).get(column, "") for column in header))
    assert told(seeds) == [
        f"seeds/{SEGMENTS}.csv line 12: min_{number} 10 is above max_{number} 9, so nobody fits"
    ]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("founders named,,", "founders named,vip,", "stages: a feed names the members of founders"),
        ("list-founders", "", "klaviyo_list_id: sync_enabled needs a list to keep in step"),
        ("false,true,true,list-founders", "FALSE,true,False,", ""),
        ("list-founders", "list-vips", "vips in line 3 keeps list-vips in step already"),
        ("aurora,founders-circle", "*,founders-circle", ""),
        ("list-founders", "list-grounding", "grounding-fans in line 7 keeps list-grounding in"),
    ],
)
def test_a_segment_that_does_not_do_what_it_says(
    seeds: Path, old: str, new: str, words: str
) -> None:
    """Prevents criteria that nobody asks, and two segments that empty each other's list."""
    replace(seeds, SEGMENTS, old, new)
    found = told(seeds)
    assert (words in found[0]) if words else found == [], found
    assert len(found) <= 1


def test_an_own_segment_may_keep_the_list_of_the_default_it_replaces(seeds: Path) -> None:
    """Prevents a tenant from being unable to define its own version of a segment."""
    replace(seeds, SEGMENTS, "aurora,grounding-fans", "aurora,vips")
    replace(seeds, SEGMENTS, "list-grounding", "list-vips")
    assert told(seeds) == []


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("percentage_discount,15", "percentage_discount,100", ""),
        ("percentage_discount,15", "percentage_discount,100.5", "100.5 percent is above 100"),
        ("at_risk,60,365", "at_risk,365,365", ""),
        ("at_risk,60,365", "at_risk,366,365", "min_days_inactive 366 is above max_days_inactive"),
        ("2027-01-01T00:00:00Z", "2025-06-01T00:00:01Z", ""),
        ("2027-01-01T00:00:00Z", "2025-06-01T00:00:00Z", "ends_at is not after starts_at"),
        ("2027-01-01T00:00:00Z", "2025-06-01T02:00:00+02:00", "ends_at is not after starts_at"),
        ("2027-01-01T00:00:00Z", "2025-06-01 01:59:59 -02", ""),
        ("2027-01-01T00:00:00Z", "2025-06-01", "ends_at is not after starts_at"),
    ],
)
def test_a_campaign_that_cannot_send(seeds: Path, old: str, new: str, words: str) -> None:
    """Prevents a campaign that reaches nobody, or a discount that pays the buyer."""
    replace(seeds, CAMPAIGNS, old, new)
    found = told(seeds)
    assert (words in found[0]) if words else found == [], found
    assert len(found) <= 1


def test_a_collection_is_one_of_the_tenants_own(seeds: Path) -> None:
    """Prevents a segment on a collection that only another tenant sells."""
    append(seeds, "collections", "aurora,calm,1", "bluegum,surf,1")
    assert [finding.partition("csv ")[2] for finding in told(seeds)] == [
        "line 7: collections: 'grounding' is none of calm (see seeds/collections.csv)",
        *[
            f"line 3: target_collections: '{item}' is none of calm (see seeds/collections.csv)"
            for item in ("grounding", "wholeness")
        ],
    ]


def rule(tenant: str, verb: str, one: str, other: str) -> str:
    sides = (side.partition(":")[::2] for side in (one, other))
    return ",".join([tenant, verb, *(part for side in sides for part in side), "asked them"])


A, B, C, D = (f"email:{letter}@example.com" for letter in "abcd")


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ([("always", A, B), ("always", B, C), ("always", C, A)], ""),
        ([("always", A, B), ("always", B, C), ("never", A, D)], ""),
        ([("never", A, B), ("never", B, C), ("never", A, C)], ""),
        (
            [("always", A, B), ("never", A, B)],
            "line 3: never ties email 'a@example.com' and email 'b@example.com', but line 2 always "
            "ties them; delete one of these lines",
        ),
        (
            [("never", C, A), ("always", A, B), ("always", C, B)],
            "line 2: never ties email 'c@example.com' and email 'a@example.com', but lines 3, 4 "
            "always tie them; delete one of these lines",
        ),
        (
            [("always", A, B), ("always", B, C), ("always", C, D), ("never", D, A)],
            "line 5: never ties email 'd@example.com' and email 'a@example.com', but lines 2, 3, 4 "
            "always tie them; delete one of these lines",
        ),
        (
            [("always", "email: A@Example.COM", B), ("never", B, A)],
            "line 2: identifier_a: ' A@Example.COM' has blanks around it; remove them",
        ),
        (
            [("always", "email:A@Example.COM", B), ("never", B, A)],
            "line 3: never ties email 'b@example.com' and email 'a@example.com', but line 2 always "
            "ties them; delete one of these lines",
        ),
        (
            [("always", A, B), ("always", B, "email:A@EXAMPLE.com")],
            "line 3: line 2 says the same; delete one of the two",
        ),
        ([("never", A, "email:A@example.com")], "line 2: both sides are the email 'a@example.com'"),
        ([("always", "email:nobody", A)], "line 2: identifier_a: 'nobody' is no email"),
        ([("always", A, "phone:12")], "line 2: identifier_b: '12' is no phone of that tenant"),
        (
            [("always", A, "phone:0151 23456789")],
            "line 2: identifier_b: write '0151 23456789' as '+4915123456789'",
        ),
        ([("always", A, "phone:+4915123456789")], ""),
        ([("always", A, "shop_phone:s1:+4915123456789")], ""),
        ([("always", A, "shop_phone:+4915123456789")], "line 2: identifier_b: '+49"),
        ([("always", "fax:1", A)], "line 2: identifier_type_a: 'fax' is none of anonymous_id"),
        ([("sometimes", A, B)], "line 2: rule: 'sometimes' is none of always, never"),
        ([("always", "email:", A)], "line 2: identifier_a: a value is needed"),
    ],
)
def test_manual_rules_that_contradict_each_other(
    seeds: Path, rules: list[tuple[str, str, str]], words: str
) -> None:
    """Prevents two answers to who somebody is, of which one would silently win."""
    append(seeds, RULES, *(rule("aurora", *one) for one in rules))
    found = told(seeds)
    assert (words in found[0]) if words else found == [], found
    assert len(found) <= 1


def test_a_local_phone_is_the_same_as_its_e164_form(seeds: Path) -> None:
    """Prevents a contradiction that hides behind two spellings of a phone."""
    append(
        seeds,
        RULES,
        rule("aurora", "always", A, "phone:0151 23456789"),
        rule("aurora", "never", "phone:+4915123456789", A),
    )
    first, second = told(seeds)
    assert "line 2: identifier_b: write '0151 23456789' as '+4915123456789'" in first
    assert "line 3: never ties phone '+4915123456789' and email 'a@example.com'" in second


def test_manual_rules_of_two_tenants_do_not_meet(seeds: Path) -> None:
    """Prevents one tenant's rule from contradicting another's, and a rule of nobody."""
    append(seeds, RULES, rule("aurora", "always", A, B), rule("kente", "never", A, B))
    assert told(seeds) == []
    append(seeds, RULES, rule("*", "always", A, C), rule("nobody", "always", A, C))
    assert [finding.partition("csv ")[2] for finding in told(seeds)] == [
        f"line {line}: tenant_id: '{tenant}' is none of aurora, bluegum, kente "
        "(see seeds/tenants.csv)"
        for line, tenant in ((4, "*"), (5, "nobody"))
    ]


def test_a_file_that_nothing_declares(seeds: Path) -> None:
    """Prevents a copy of a seed that lies beside it and that dbt would load as text."""
    (seeds / "tenants (2).csv").write_text("tenant_id\n")
    assert told(seeds) == [
        "seeds/tenants (2).csv: is declared nowhere; describe it in seeds/_seeds.yml"
    ]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("key: [tenant_id, collection]", "keys: [tenant_id, collection]", "unknown meta keys"),
        ("key: [tenant_id, collection]", "key: [tenant, collection]", "meta names tenant,"),
        ("collection_order: integer", "collection_order: int", "type 'int' is none of text"),
        ("collection_order: integer", "collection_position: integer", "columns differ in"),
        ("refers_to: collections.collection", "refers_to: collections", "is written like"),
        ("seeds:\n", "seeds: [\n", "cannot be read"),
    ],
)
def test_a_malformed_declaration_is_named(seeds: Path, old: str, new: str, words: str) -> None:
    """Prevents a typing error in a declaration from switching a rule off."""
    file = seeds / "_seeds.yml"
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(SeedError, match=r"_seeds\.yml") as caught:
        check_seeds(seeds)
    assert words in str(caught.value)


MUG = "aurora,reward-mug,Stoneware mug,400,free_product,,mug-stoneware,bloom,,1,100,true,"
OFF = "aurora,reward-5-off,5 euros off,200,fixed_discount,5,,,,,,true,2025-01-01T00:00:00Z,"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (MUG, MUG.replace("400", "-400"), "line 4: points_cost: -400 is below 1"),
        (MUG, MUG.replace("bloom", "gold"), "line 4: min_tier: 'gold' is none of bloom"),
        (MUG, MUG.replace("mug-stoneware", ""), "line 4: product_id: a free_product needs"),
        (MUG, MUG.replace("reward-mug", "reward-5-off"), "line 4: tenant_id aurora, reward_id"),
        (OFF, OFF.replace("discount,5,", "discount,,"), "line 2: reward_value: a fixed_discount"),
        (
            OFF,
            OFF.replace("fixed_discount,5,", "percentage_discount,101,"),
            "line 2: reward_value: 101 percent is above 100",
        ),
        (OFF, OFF + "2025-01-01T00:00:00Z", "line 2: ends_at is not after starts_at"),
    ],
)
def test_a_reward_that_nobody_can_have(seeds: Path, old: str, new: str, words: str) -> None:
    """Prevents a reward that gives points away, asks for a tier there is not, or never begins."""
    replace(seeds, "rewards", old, new)
    (finding,) = told(seeds)
    assert finding.startswith(f"seeds/rewards.csv {words}")


def test_a_default_reward_asks_for_a_tier_that_every_tenant_has(seeds: Path) -> None:
    """Prevents a reward for the best members that is open to all of a tenant with other tiers."""
    append(seeds, "rewards", "*,for-all,For all,10,free_shipping,,,gold,,,,true,,")
    append(seeds, TIERS, "kente,gold,Gold,10,,,1,0,false,0,false,#c9738f,flower,1")
    assert told(seeds) == [
        "seeds/rewards.csv line 6: min_tier: bluegum has no tier 'gold', so that anybody there "
        "could have it; give that tenant the tier, or rewards of its own"
    ]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("flower,2", "flower,1", "line 3: tenant_id *, tier_order 1"),
        ("*,bloom,Bloom,250", "*,seedling,Bloom,250", "line 3: tenant_id *, tier_id seedling"),
        ("Bloom,250", "Bloom,-250", "line 3: min_points: -250 is below 0"),
        ("Bloom,250,,2,1.25,5", "Bloom,250,,2,-1.25,5", "line 3: points_multiplier: -1.25 is"),
        ("Bloom,250,,2,1.25,5", "Bloom,250,,2,1.25,105", "line 3: discount_percentage: 105 is"),
    ],
)
def test_a_tier_that_cannot_be_used(seeds: Path, old: str, new: str, words: str) -> None:
    """Prevents two tiers in one place, and numbers that would take points away."""
    replace(seeds, TIERS, old, new)
    assert any(finding.startswith(f"seeds/loyalty_tiers.csv {words}") for finding in told(seeds))


def test_no_mistake_breaks_the_check_itself(seeds: Path) -> None:
    """Prevents a traceback in the place of a line number, when mistakes meet."""
    append(seeds, RULES, rule("aurora", "always", A, B), rule("kente", "never", A, B))
    sound = {file: file.read_text(encoding="utf-8") for file in sorted(seeds.glob("*.csv"))}
    filled = [file for file, text in sound.items() if text.count("\n") > 1]
    draw = random.Random(7)
    values = ["", "*", "-1", "0", "x", "1e5", "null", "nobody", "kente", "|", '"', "phone", "1.5"]
    for _ in range(60):
        for file in draw.sample(filled, 3):
            lines = sound[file].splitlines()
            cells = lines[line := draw.randrange(1, len(lines))].split(",")
            cells[draw.randrange(len(cells))] = draw.choice(values)
            lines[line] = ",".join(cells)
            del lines[draw.randrange(1, len(lines)) :: len(lines)]
            file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        assert all(finding.startswith("seeds/") for finding in told(seeds))
        for file, text in sound.items():
            file.write_text(text, encoding="utf-8")
