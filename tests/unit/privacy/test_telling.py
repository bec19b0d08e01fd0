"""What of a row may be told where nobody looks when its owner is forgotten."""

from __future__ import annotations

import pytest

from orchestration.privacy.telling import is_telling, without_values

MODEL = "Database Error in model orders (models/marts/orders.sql)\n  "

TWICE = 'duplicate key value violates unique constraint "k"'
MISSING = 'null value in column "at" violates not-null constraint'


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (
            MODEL
            + 'duplicate key value violates unique constraint "k"\n  DETAIL:  Key (tenant_id, '
            "order_id)=(aurora, 17) already exists.\n  compiled code at /home/x.sql",
            MODEL + 'duplicate key value violates unique constraint "k"\nDETAIL:  Key (tenant_id, '
            "order_id)=(aurora, 17) already exists.\n  compiled code at /home/x.sql",
        ),
        (
            'could not create unique index "k"\nDETAIL:  Key (tenant_id, email)=(a, (ada)@b.c) is '
            "duplicated.",
            'could not create unique index "k"\nDETAIL:  Key (tenant_id, email)=… is duplicated.',
        ),
        (
            MODEL
            + 'null value in column "at" violates not-null constraint\n  DETAIL:  Failing row '
            "contains (1, ada@b.c,\n said (so).\n and more).\n  compiled code at /x.sql",
            MODEL + 'null value in column "at" violates not-null constraint\n  '
            "compiled code at /x.sql",
        ),
        (
            'invalid input syntax for type numeric: "Ada "the" One"\nCONTEXT:  COPY leads, line 3, '
            'column price: "Ada "the" One"',
            "invalid input syntax for type numeric: …",
        ),
        ('value "4917212345678" is out of range for type integer', "value … is out of range for"),
        (
            'invalid input syntax for type json\nDETAIL:  Token "ada" is invalid.\nCONTEXT:  JSON '
            'data, line 1: {"email": ada...',
            "invalid input syntax for type json",
        ),
        (
            'column "emial" does not exist\nLINE 3: select emial\n               ^\nHINT:  Perhaps '
            'you meant to reference the column "customers.email".',
            'column "emial" does not exist\nLINE 3: select emial\n               ^\nHINT:  Perhaps '
            'you meant to reference the column "customers.email".',
        ),
        ("build: the disk of /home: is full", "build: the disk of /home: is full"),
    ],
)
def test_an_error_is_told_without_the_row_that_it_quotes(message: str, told: str) -> None:
    """Prevents: a log or a record with somebody's e-mail in it, and an error of a model that no
    longer says which column is misspelt."""
    assert without_values(message).startswith(told)
    assert "ada" not in without_values(message).lower()
    assert without_values(without_values(message)) == without_values(message)


def test_columns_that_name_people_are_known() -> None:
    """Prevents: an example of a failed test that shows a customer, or one that shows nothing."""
    telling = ("email", "first_name", "identifier_key", "referrers", "content")
    assert all(map(is_telling, telling))
    shown = ("tenant_id", "customer_id", "currency", "ordered_on", "renamed_at", "line_to_add")
    assert not any(map(is_telling, shown))
