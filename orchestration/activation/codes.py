"""Codes that nobody can guess, and that people can read to each other."""

from __future__ import annotations

import secrets

CODE_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
"""Without I, O, 0 and 1, which people misread."""
GROUP_LENGTH = 4


def new_code(groups: int) -> str:
    """Groups of four letters and digits from a cryptographic source, like K7QD-2MXA-9RTF."""
    return "-".join(
        "".join(secrets.choice(CODE_LETTERS) for _ in range(GROUP_LENGTH)) for _ in range(groups)
    )
