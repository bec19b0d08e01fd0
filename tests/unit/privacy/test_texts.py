"""Addresses in a text that nobody took apart."""

from __future__ import annotations

from hashlib import sha256

import pytest

from orchestration.privacy.texts import Forgotten, addresses_in

PHONE = ("phone", "+491722345678")
EMAIL = ("email", "ada@example.com")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("1,,(0172) 23-456 78,x", PHONE),
        ("1,,+49 172 2345678,x", PHONE),
        ("1,,00491722345678,x", PHONE),
        ("1,,0172.2345678,x", PHONE),
        ("call 17 times 0172 23456 78 9-17 h", PHONE),
        ('{"mobile": "0172/2345678", "at": 20260701}', PHONE),
        ("1,Ada@Example.COM,x", EMAIL),
        ("Ada <ada@example.com>; x", EMAIL),
        ("('ada@example.com').", EMAIL),
        ("mailto:ada@example.com", EMAIL),
        ("?email=ada@example.com", EMAIL),
    ],
)
def test_an_address_is_found_however_it_is_written(text: str, shown: tuple[str, str]) -> None:
    """Prevents: a rejected row that keeps somebody forgotten, for a bracket around their e-mail or
    a space in their phone."""
    assert shown in addresses_in(text, "DE")
    kind, value = shown
    digest = sha256(f"key{kind}:{value}".encode()).hexdigest()
    assert Forgotten("key", frozenset({digest})).is_shown(text, "DE")
    assert not Forgotten("another key", frozenset({digest})).is_shown(text, "DE")


def test_a_text_of_nothing_but_digits_takes_no_time() -> None:
    """Prevents: a load that stands still over one rejected row."""
    assert PHONE not in addresses_in("1 " * 50_000, "DE")
    assert PHONE not in addresses_in("12345678901234567890" * 5_000, "DE")
