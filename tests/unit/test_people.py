"""How an identifier that people type becomes the values that the marts hold."""

from __future__ import annotations

import pytest

from orchestration.ingest.tenants import Tenant
from orchestration.people import spellings

TENANTS = (
    Tenant("berlin", "Berlin", "Europe/Berlin", "EUR", "DE"),
    Tenant("accra", "Accra", "Africa/Accra", "GHS", "GH"),
)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (" Ann@Example.COM ", {"Ann@Example.COM", "ann@example.com"}),
        ("Ame\u0301lie@example.com", {"Ame\u0301lie@example.com", "am\u00e9lie@example.com"}),
        ("0151 12345678", {"0151 12345678", "+4915112345678"}),
        ("024 765 4320", {"024 765 4320", "+49247654320", "+233247654320"}),
        ("+49 (151) 12345678", {"+49 (151) 12345678", "+4915112345678"}),
        ("a.4915112345678@example.com", {"a.4915112345678@example.com"}),
        ("shop_phone:kofi:+233247654320", {"shop_phone:kofi:+233247654320"}),
        ("6000000000000", {"6000000000000", "+496000000000000"}),
    ],
)
def test_every_spelling_means_the_same(typed: str, meant: set[str]) -> None:
    """Prevents somebody from being unknown by another spelling, or by a stranger's phone."""
    assert set(spellings(typed, TENANTS)) == meant
