"""The pictures of the README and the docs, taken of the pages as they are.

`make screenshots` takes them of a sample as large as the demo's, and keeps them in docs/images.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestration.settings import PROJECT_ROOT
from tests.conftest import PICTURED_CUSTOMERS

from .conftest import NARROW, WIDE, Opened
from .test_pages import TENANT, visit

KEPT = PROJECT_ROOT / "docs" / "images"
LARGEST_BYTES = 200_000


@dataclass(frozen=True)
class Picture:
    """What is on a picture: a page, as wide and high as a screen, in a colour scheme."""

    place: str
    scheme: str
    width: int
    height: int


PICTURES = {
    "overview": Picture(f"{TENANT}/overview", "light", WIDE, 1_000),
    "customer": Picture("customer", "dark", WIDE, 1_000),
    "phone": Picture(f"{TENANT}/overview", "light", NARROW, 844),
}


@pytest.mark.parametrize("name", PICTURES)
def test_the_pictures_of_the_docs_are_taken(
    opened: Opened, address: str, tmp_path: Path, name: str
) -> None:
    """Prevents: a picture of pages that are no more, and one that nobody can take again."""
    picture = PICTURES[name]
    page = opened(picture.width, picture.scheme)
    page.set_viewport_size({"width": picture.width, "height": picture.height})
    visit(page, address, picture.place)
    taken = (KEPT if PICTURED_CUSTOMERS else tmp_path) / f"{name}.png"
    page.screenshot(path=taken)
    kept = KEPT / taken.name
    assert size_of(taken) == size_of(kept) == (picture.width, picture.height)
    assert kept.stat().st_size < LARGEST_BYTES


def test_every_picture_is_shown_and_every_shown_one_is_there() -> None:
    """Prevents: a README with a hole, and pictures in the repository that nobody sees."""
    shown = {
        name
        for text in (PROJECT_ROOT / "README.md", *(PROJECT_ROOT / "docs").rglob("*.md"))
        for name in re.findall(r"!\[[^\]]+\]\([^)]*?([\w-]+)\.png\)", text.read_text())
    }
    assert shown == set(PICTURES) == {file.stem for file in KEPT.iterdir()}


def size_of(file: Path) -> tuple[int, int]:
    """Width and height that a PNG declares."""
    width, height = struct.unpack(">II", file.read_bytes()[16:24])
    return width, height
