"""A headless Chromium and somebody who uses it. Screenshots are kept in var/screenshots/."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections
from playwright.sync_api import ConsoleMessage, Locator, Page, Request, Response, sync_playwright

from tests.browser import looks
from tests.factories import StaffFactory

SCREENSHOTS = Path(__file__).resolve().parents[2] / "var" / "screenshots"
PASSWORD = "a long password"
WIDTH, HEIGHT = 1440, 900
PHONE_WIDTH, PHONE_HEIGHT = 390, 844
MOST_HEIGHT = 4000  # of a screenshot
MOST_TABS = 120  # to anything on a page
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
    """Somebody at a browser. ``faults``: what was wrong with the pages they saw."""

    page: Page
    address: str
    faults: list[str] = field(default_factory=list)

    def open(self, path: str) -> None:
        self.page.goto(f"{self.address}{path}")

    def sign_in(self, email: str, password: str = PASSWORD) -> None:
        self.open("/admin/")
        self.page.get_by_label("E-mail").fill(email)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Log in").click()
        self.page.wait_for_url(f"{self.address}/admin/")

    def keep_screenshot(self, name: str, *, height: int = HEIGHT) -> None:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.set_viewport_size({"width": WIDTH, "height": height})
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png")

    def look(self, name: str) -> None:
        """Look the page over, and keep what it looks like: wide and narrow, light and dark."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        looks.settle(self.page)
        self._note(name, looks.faults(self.page))
        self._keep_both(name, WIDTH, HEIGHT)
        self.page.set_viewport_size({"width": PHONE_WIDTH, "height": PHONE_HEIGHT})
        self._note(f"{name} at {PHONE_WIDTH}", looks.overflow(self.page))
        self._keep_both(name, PHONE_WIDTH, PHONE_HEIGHT)
        self.page.set_viewport_size({"width": WIDTH, "height": HEIGHT})

    def go_to(self, target: Locator) -> None:
        """With the keyboard alone, and see where one is."""
        for _ in range(MOST_TABS):
            self.page.keyboard.press("Tab")
            if target.evaluate("element => element === document.activeElement"):
                break
        else:
            pytest.fail(f"The Tab key does not lead to {target}.")
        self._note(self.page.url, [] if looks.is_marked(target) else [f"no focus: {target}"])

    def download(self, target: Locator) -> tuple[str, bytes]:
        """The name of the file, and what is in it."""
        with self.page.expect_download() as coming:
            target.click()
        return coming.value.suggested_filename, coming.value.path().read_bytes()

    def _keep_both(self, name: str, width: int, height: int) -> None:
        """The whole page, with what sticks to the bottom of the window at the bottom of it."""
        whole = min(max(looks.height(self.page), height), MOST_HEIGHT)
        self.page.set_viewport_size({"width": width, "height": whole})
        for theme in ("dark", "light"):
            looks.switch(self.page, theme)
            path = SCREENSHOTS / f"{name}-{width}-{theme}.png"
            self.page.screenshot(path=path, animations="disabled")

    def _note(self, where: str, faults: list[str]) -> None:
        self.faults += [f"{where}: {fault}" for fault in faults]


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
    """Fails where a page of the test had an error of JavaScript's, missed a file, or looked bad."""
    # Playwright's loop runs in this thread, so Django takes the test itself for asynchronous.
    # For the same reason it ends with the test: other tests are not to run inside it.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    faults: list[str] = []

    def note_answer(answer: Response) -> None:
        if answer.status >= 400:
            faults.append(f"{answer.status} {answer.url}")

    def note_loss(request: Request) -> None:
        # A download, and a page that is left, abort their request; nothing of them is missing.
        if request.failure != "net::ERR_ABORTED":
            faults.append(f"{request.failure} {request.url}")

    def note_message(message: ConsoleMessage) -> None:
        # What was not loaded is noted by the two above.
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            faults.append(f"{message.text} on {page.url}")

    with chromium_page() as page:
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", note_message)
        page.on("response", note_answer)
        page.on("requestfailed", note_loss)
        yield Visitor(page, live_server.url, faults)
        # Inside Playwright's loop Django keeps a connection of its own, which nobody else closes.
        connections.close_all()
    assert faults == []


@pytest.fixture
def demo(roles: dict, transactional_db: None) -> None:
    """The demo data, as on the machine of whoever tries the project out."""
    call_command("load_demo", stdout=io.StringIO())


@pytest.fixture
def staff(roles: dict) -> Callable[[str], str]:
    """``staff("Finance")``: the e-mail of a new member of staff in that group."""

    def hire(role: str) -> str:
        member = StaffFactory(email=f"{role.lower()}@example.com")
        member.groups.add(roles[role])
        return member.email

    return hire
