"""A headless Chromium and somebody who uses it. Screenshots are kept in var/screenshots/."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from playwright.sync_api import Page, Response, sync_playwright

from tests.factories import StaffFactory

SCREENSHOTS = Path(__file__).resolve().parents[2] / "var" / "screenshots"
PASSWORD = "a long password"
WIDTH, HEIGHT = 1440, 900
# In a container there is neither a sandbox nor a graphics card, and tests call nobody.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@dataclass
class Visitor:
    """Somebody at a browser."""

    page: Page
    address: str

    def open(self, path: str) -> None:
        self.page.goto(f"{self.address}{path}")

    def sign_in(self, email: str) -> None:
        self.open("/admin/")
        self.page.get_by_label("E-mail").fill(email)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Log in").click()
        self.page.wait_for_url(f"{self.address}/admin/")

    def keep_screenshot(self, name: str, *, height: int = HEIGHT) -> None:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.set_viewport_size({"width": WIDTH, "height": height})
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png")


@contextmanager
def chromium_page() -> Iterator[Page]:
    program = shutil.which("chromium")
    if program is None:
        pytest.fail("The browser tests need Chromium: apt-get install chromium", pytrace=False)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        browser.close()


@pytest.fixture
def visitor(live_server: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Visitor]:
    """Fails where a page of the test had an error of JavaScript's or missed a file."""
    # Playwright's loop runs in this thread, so Django takes the test itself for asynchronous.
    # For the same reason it ends with the test: other tests are not to run inside it.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    faults: list[str] = []

    def note_answer(answer: Response) -> None:
        if answer.status >= 400:
            faults.append(f"{answer.status} {answer.url}")

    with chromium_page() as page:
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("response", note_answer)
        yield Visitor(page, live_server.url)
        # Inside Playwright's loop Django keeps a connection of its own, which nobody else closes.
        connections.close_all()
    assert faults == []


@pytest.fixture
def staff(roles: dict) -> Callable[[str], str]:
    """``staff("Finance")``: the e-mail of a new member of staff in that group."""

    def hire(role: str) -> str:
        member = StaffFactory(email=f"{role.lower()}@example.com")
        member.groups.add(roles[role])
        return member.email

    return hire
