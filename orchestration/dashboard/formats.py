"""How values read: English numbers, the tenant's currency, the tenant's time zone."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

NOTHING = "–"
WORDS = {"vip": "VIP", "sms": "SMS", "utm": "UTM", "id": "id", "b2b": "B2B"}
NUMBERS = ("integer", "decimal", "percent", "money", "whole_money")


@dataclass(frozen=True)
class Look:
    """What the reader's tenant counts in: an ISO 4217 currency and an IANA time zone."""

    currency: str
    time_zone: str

    def show(self, value: Any, form: str, currency: str | None = None) -> str:
        """The value as text; a dash for null.

        Args:
            form: one of FORMATS.
            currency: of an amount that is not in the tenant's own.
        """
        return NOTHING if value is None else FORMATS[form](value, self, currency)

    def instant(self, moment: datetime) -> str:
        """An instant in the tenant's zone, which it names."""
        return f"{_instant(moment, self, None)} {self.time_zone}"


def is_number(form: str) -> bool:
    """Whether values of this form stand in columns of numbers."""
    return form in NUMBERS


def is_short(form: str) -> bool:
    """Whether values of this form read badly when broken into lines."""
    return form in (*NUMBERS, "instant", "day", "month", "label")


def in_words(code: str) -> str:
    """A value of the marts as a reader would say it: `at_risk` is `At risk`."""
    words = " ".join(WORDS.get(word, word) for word in code.replace("_", " ").split())
    return words[:1].upper() + words[1:]


def _integer(value: Any, _look: Look, _currency: str | None) -> str:
    return f"{int(value):,}"


def _decimal(value: Any, _look: Look, _currency: str | None) -> str:
    return f"{Decimal(value):,.1f}"


def _percent(value: Any, _look: Look, _currency: str | None) -> str:
    return f"{100 * Decimal(value):,.1f} %"


def _money(value: Any, look: Look, currency: str | None) -> str:
    return _currency(value, currency or look.currency)


def _whole_money(value: Any, look: Look, currency: str | None) -> str:
    return _currency(value, currency or look.currency, format="¤#,##0", currency_digits=False)


def _currency(value: Any, currency: str, **more: Any) -> str:
    from babel.numbers import format_currency

    text = format_currency(Decimal(value), currency, locale="en", **more)
    # a currency without a sign of its own is written out: GHS 12.50
    return re.sub(r"(?<=[A-Z]{3})(?=[0-9])", "\N{NO-BREAK SPACE}", text)


def _instant(value: datetime, look: Look, _currency: str | None) -> str:
    local = value.astimezone(ZoneInfo(look.time_zone))
    return f"{local.day} {local:%b %Y, %H:%M}"


def _day(value: date, look: Look, _currency: str | None) -> str:
    if isinstance(value, datetime):
        value = value.astimezone(ZoneInfo(look.time_zone)).date()
    return f"{value.day} {value:%b %Y}"


def _month(value: date, _look: Look, _currency: str | None) -> str:
    return f"{value:%b %Y}"


def _month_name(value: int, _look: Look, _currency: str | None) -> str:
    return f"{date(2000, int(value), 1):%B}"


def _label(value: Any, _look: Look, _currency: str | None) -> str:
    return in_words(str(value))


def _yes_no(value: Any, _look: Look, _currency: str | None) -> str:
    return "Yes" if value else "No"


def _text(value: Any, _look: Look, _currency: str | None) -> str:
    if isinstance(value, list | tuple):
        return "; ".join(map(str, value))
    return str(value)


FORMATS: dict[str, Callable[[Any, Look, str | None], str]] = {
    "integer": _integer,
    "decimal": _decimal,
    "percent": _percent,
    "money": _money,
    "whole_money": _whole_money,
    "instant": _instant,
    "day": _day,
    "month": _month,
    "month_name": _month_name,
    "label": _label,
    "yes_no": _yes_no,
    "text": _text,
    "code": _text,
}
