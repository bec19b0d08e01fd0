"""Adding a tenant to the list, which people also edit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from orchestration.ingest.tenants import Tenant, read_tenants
from orchestration.tenants import TenantError, add_tenant

HEADER = "tenant_id,name,time_zone,currency,phone_region"
HARBOUR = Tenant("harbour", 'Harbour, "Fish" & Co', "Europe/Oslo", "NOK", "NO")


@pytest.fixture
def seed(tmp_path: Path) -> Path:
    file = tmp_path / "tenants.csv"
    file.write_text(f"{HEADER}\nkente,Kente Market,Africa/Accra,GHS,GH")
    return file


def test_a_tenant_is_appended_and_nothing_else_changes(seed: Path) -> None:
    """Prevents: two tenants on one line because somebody's editor left out the last line break, and
    a name with a comma that moves the columns after it."""
    before = seed.read_text()
    add_tenant(seed, HARBOUR)
    assert seed.read_text().startswith(before + "\n")
    assert read_tenants(seed)["harbour"] == HARBOUR
    assert [file.name for file in seed.parent.iterdir()] == ["tenants.csv"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tenant_id": "../harbour"}, "names a folder"),
        ({"tenant_id": "kente"}, "lists the tenant kente already"),
        ({"name": " "}, "name is empty"),
        ({"time_zone": "Oslo"}, "write it like Europe/Berlin"),
        ({"currency": "crowns"}, "no ISO 4217 code"),
        ({"phone_region": "Norway"}, "is no region like DE"),
    ],
)
def test_a_tenant_that_no_build_could_use_is_refused(
    seed: Path, change: dict[str, str], words: str
) -> None:
    """Prevents: a list that stops every build of every tenant."""
    before = seed.read_text()
    with pytest.raises(TenantError, match=words):
        add_tenant(seed, replace(HARBOUR, **change))
    assert seed.read_text() == before
