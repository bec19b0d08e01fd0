"""Take the pictures of the README from the dashboard that `journey up` serves for the demo."""

from __future__ import annotations

import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

from orchestration import services
from orchestration.dashboard.access import token_for
from orchestration.settings import get_settings

FOLDER = Path(__file__).parent
MARA = "/t/aurora/customers?q=mara.lindqvist@example.com"
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def main() -> None:
    """Write overview.png, customer.png and phone.png."""
    settings = get_settings()
    address = services.address(services.DASHBOARD, settings)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=ARGUMENTS
        )
        for name, scheme, width, height, place in (
            ("overview", "light", 1_280, 900, "/t/aurora/overview"),
            ("customer", "dark", 1_280, 900, MARA),
            ("phone", "light", 390, 844, "/t/aurora/overview"),
        ):
            page = browser.new_page(
                viewport={"width": width, "height": height},
                color_scheme=scheme,  # type: ignore[arg-type]
            )
            page.goto(f"{address}/login?token={token_for(settings)}")
            page.goto(f"{address}{place}")
            if place == MARA:
                page.get_by_role("link", name="Mara Lindqvist").click()
                page.wait_for_load_state()
            page.screenshot(path=FOLDER / f"{name}.png")
        browser.close()


if __name__ == "__main__":
    main()
