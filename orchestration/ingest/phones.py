"""Phone numbers as written, turned into E.164 once per tenant."""

# ruff: noqa: S608
# Statements are put together from the contracts' quoted names only; values are parameters.

from __future__ import annotations

import threading

import phonenumbers
import psycopg

LONGEST_PHONE = 100
"""A longer text is no phone number; it is left out, and so has no E.164 form."""


def e164(phone: str, region: str) -> str | None:
    """The number in E.164, or None when it is not a possible number in that region.

    A number that can only be dialled locally, for want of its area code, is not one either.
    """
    try:
        number = phonenumbers.parse(phone, region)
    except phonenumbers.NumberParseException:
        return None
    reason = phonenumbers.is_possible_number_with_reason(number)
    if reason != phonenumbers.ValidationResult.IS_POSSIBLE:
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def new_phones(cursor: psycopg.Cursor[tuple[str]], written: str, tenant_id: str) -> list[str]:
    """The numbers in a query's column `phone` that the tenant did not have yet."""
    if not written:
        return []
    cursor.execute(
        f"""
        with written as (
            {written}
        )

        select distinct written.phone
        from written
        where
            written.phone is not null
            and length(written.phone) <= %(longest)s
            and not exists (
                select 1
                from raw.phone_numbers
                where
                    phone_numbers.tenant_id = %(tenant_id)s
                    and phone_numbers.phone = written.phone
            )
        order by written.phone
        """,
        {"tenant_id": tenant_id, "longest": LONGEST_PHONE},
    )
    return [phone for (phone,) in cursor.fetchall()]


class Derivation:
    """Derives numbers in a thread of its own, while the database is busy with something else."""

    def __init__(self, phones: list[str], region: str) -> None:
        """Start."""
        self.region = region
        self._derived: list[tuple[str, str | None]] = []
        self._phones = phones
        self._thread = threading.Thread(target=self._derive, name="journey-phones", daemon=True)
        self._thread.start()

    def store(self, cursor: psycopg.Cursor[tuple[str]], tenant_id: str) -> None:
        """Wait for the end and write the numbers to `raw.phone_numbers`."""
        self._thread.join()
        with cursor.copy(
            "copy raw.phone_numbers (tenant_id, phone, region, e164) from stdin"
        ) as copy:
            for phone, number in self._derived:
                copy.write_row((tenant_id, phone, self.region, number))

    def _derive(self) -> None:
        self._derived = [(phone, e164(phone, self.region)) for phone in self._phones]


def derive_again(cursor: psycopg.Cursor[tuple[str]], tenant_id: str, region: str) -> int:
    """Derive anew what was derived for another region, after a tenant's region changed.

    Returns how many numbers that were.
    """
    cursor.execute(
        """
        delete from raw.phone_numbers
        where
            tenant_id = %s
            and region <> %s
            and phone not like 'erased-%%'
        returning phone
        """,
        (tenant_id, region),
    )
    phones = sorted(phone for (phone,) in cursor.fetchall())
    if phones:
        Derivation(phones, region).store(cursor, tenant_id)
    return len(phones)
