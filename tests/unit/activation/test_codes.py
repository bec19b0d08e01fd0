"""Codes for rewards and gifts."""

from __future__ import annotations

import re

from orchestration.activation.codes import new_code
from orchestration.activation.gift_codes import new_gift_code

GROUP = "[A-HJ-NP-Z2-9]{4}"


def test_codes_cannot_be_misread_or_guessed() -> None:
    """Prevents: a code of which another can be made up, or that is typed in wrong."""
    codes = {new_code(3) for _ in range(1_000)}
    assert len(codes) == 1_000
    assert all(re.fullmatch(f"{GROUP}-{GROUP}-{GROUP}", code) for code in codes)


def test_the_code_of_a_gift_says_what_it_is() -> None:
    """Prevents: a gift's code that is taken for a discount, or of which another can be made up."""
    codes = {new_gift_code() for _ in range(1_000)}
    assert len(codes) > 998
    assert all(re.fullmatch(f"GIFT-{GROUP}-{GROUP}", code) for code in codes)
