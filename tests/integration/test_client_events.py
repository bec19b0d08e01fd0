"""Events of B2B clients as the files bring them."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy

from orchestration.ingest.load import load_landing
from orchestration.settings import Settings

EVENTS = """id,client_id,stage,event_type,metadata,occurred_at
known,c1,billing,invoice_paid,,2026-01-01T00:00:00Z
stage-of-another-system,c1,negotiation,invoice_paid,,2026-01-01T00:00:00Z
event-of-another-system,c1,billing,invoice_disputed,,2026-01-01T00:00:00Z
metadata-is-a-list,c1,billing,note,"[""negative""]",2026-01-01T00:00:00Z
"""
CONTACTS = """id,email,ai_score,updated_at
unrated,a@client.example,,2026-01-01T00:00:00Z
worst,b@client.example,0,2026-01-01T00:00:00Z
best,c@client.example,100,2026-01-01T00:00:00Z
below-the-worst,d@client.example,-0.01,2026-01-01T00:00:00Z
above-the-best,e@client.example,100.01,2026-01-01T00:00:00Z
"""


def test_an_unknown_stage_or_event_is_a_rejected_row(
    database: sqlalchemy.Engine, settings: Settings
) -> None:
    """Prevents a word that no rule knows from stopping a build, or from counting as an event."""
    folder = Path(settings.landing, "aurora", "client_journey_events")
    folder.mkdir(parents=True)
    (folder / "events.csv").write_text(EVENTS, encoding="utf-8")
    (result,) = load_landing(database, settings).files
    assert (result.status, result.rows_loaded, result.rows_rejected) == ("loaded", 2, 2)
    with database.connect() as connection:
        rejected = connection.exec_driver_sql(
            "select line, reasons from raw.rejected_rows order by line"
        ).all()
    assert [line for line, _ in rejected] == [3, 4]
    for (_, reasons), (column, word) in zip(
        rejected, [("stage", "negotiation"), ("event_type", "invoice_disputed")], strict=True
    ):
        (reason,) = reasons
        assert reason.startswith(f"{column}: ")
        assert word in reason


def test_a_rating_outside_of_its_scale_is_a_rejected_row(
    database: sqlalchemy.Engine, settings: Settings
) -> None:
    """Prevents a rating on another scale from lifting a client above all others."""
    folder = Path(settings.landing, "aurora", "contacts")
    folder.mkdir(parents=True)
    (folder / "contacts.csv").write_text(CONTACTS, encoding="utf-8")
    (result,) = load_landing(database, settings).files
    assert (result.status, result.rows_loaded, result.rows_rejected) == ("loaded", 3, 2)
    with database.connect() as connection:
        rejected = connection.exec_driver_sql(
            "select line, reasons from raw.rejected_rows order by line"
        ).all()
    assert [line for line, _ in rejected] == [5, 6]
    assert all(reason.startswith("ai_score: ") for _, reasons in rejected for reason in reasons)
