"""Finding people in what was never taken apart: the text of rows that were rejected."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import psycopg

from orchestration.ingest.phones import e164

FORGOTTEN_TEXT = "(erased)"

_BETWEEN_WORDS = re.compile(r"[\s\",;<>|]+")
_AROUND_EMAIL = "'`()[]{}.:!?/\\"
_DIGITS = re.compile(r"[+(]?\d[\d()./\- \t\u00a0]*\d")
_BETWEEN_DIGITS = re.compile(r"[ \t\u00a0]+")
MOST_GROUPS, LEAST_DIGITS, MOST_DIGITS = 8, 6, 18
"""Of a phone as people write it, with whatever they dial before it."""


@dataclass(frozen=True)
class Forgotten:
    """Whom a tenant has forgotten: keyed hashes of their identifiers."""

    key: str
    hashes: frozenset[str]

    def is_shown(self, text: str, region: str) -> bool:
        """Whether a text shows the e-mail or phone of one of them.

        Args:
            text: as it came.
            region: in which phones without a country are read.
        """
        return bool(self.hashes) and any(
            sha256(f"{self.key}{kind}:{value}".encode()).hexdigest() in self.hashes
            for kind, value in addresses_in(text, region)
        )


def forgotten_by(cursor: psycopg.Cursor[Any], tenant_id: str) -> Forgotten:
    """Whom the tenant has forgotten so far."""
    cursor.execute(
        """
        select
            erasure_key.key,
            array(
                select distinct identifier_hash
                from ops.erased_identifiers
                where tenant_id = %s
            )
        from ops.erasure_key
        """,
        [tenant_id],
    )
    key, hashes = cursor.fetchone() or ("", [])
    return Forgotten(key, frozenset(hashes))


def addresses_in(text: str, region: str) -> set[tuple[str, str]]:
    """Every e-mail and phone that a text may show, by type and normalised value."""
    emails = {("email", email) for email in _emails(text)}
    numbers = {e164(phone, region) for phone in set(_phones(text))}
    return emails | {("phone", number) for number in numbers if number}


def _emails(text: str) -> Iterator[str]:
    """Each word with an @, as it stands, without what may stand around it, and after a colon."""
    for word in _BETWEEN_WORDS.split(unicodedata.normalize("NFC", text.lower())):
        if "@" not in word:
            continue
        bare = word.strip(_AROUND_EMAIL)
        yield from (word, bare, bare.rpartition(":")[2], bare.rpartition("=")[2])


def _phones(text: str) -> Iterator[str]:
    """Every run of neighbouring groups of digits: what is near a number may be none of it."""
    for run in _DIGITS.findall(text):
        groups = _BETWEEN_DIGITS.split(run)
        for first in range(len(groups)):
            for last in range(first, min(first + MOST_GROUPS, len(groups))):
                phone = " ".join(groups[first : last + 1])
                digits = sum(map(str.isdigit, phone))
                if digits > MOST_DIGITS:
                    break
                if digits >= LEAST_DIGITS:
                    yield phone
