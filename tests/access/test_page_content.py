"""What stands in the pages themselves, held against the policy that they are sent with."""

from __future__ import annotations

import base64
import hashlib
from html.parser import HTMLParser

import pytest

from config import content_security
from tests.access.pages import every_page


class Reader(HTMLParser):
    """Notes scripts that stand in the page, handlers in attributes, and what <style> holds."""

    def __init__(self) -> None:
        super().__init__()
        self.inline: list[str] = []
        self.styles: list[str] = []
        self._inside = ""

    def handle_starttag(self, tag, attrs):
        names = dict(attrs)
        self.inline += [f"{tag} {name}" for name in names if name.startswith("on")]
        self.inline += [
            f"{tag} {name}"
            for name, value in attrs
            if value and value.strip().lower().startswith("javascript:")
        ]
        if tag == "script" and "src" not in names and names.get("type") != "application/json":
            self.inline.append("script")
        self._inside = tag if tag == "style" else ""

    def handle_endtag(self, tag):
        self._inside = ""

    def handle_data(self, data):
        if self._inside == "style":
            digest = hashlib.sha256(data.encode()).digest()
            self.styles.append(f"'sha256-{base64.b64encode(digest).decode()}'")


@pytest.mark.django_db
class TestPages:
    def test_none_has_a_script_of_its_own_or_a_style_that_the_policy_does_not_know(
        self, rows, browsers
    ):
        inline, styles = {}, set()

        for page in every_page(rows):
            if page.template == "/admin/logout/":  # ends the session of whoever walks
                continue
            response = browsers["superuser"].get(page.address)
            # A mail's preview may run nothing at all, and has a policy of its own.
            is_preview = "sandbox" in response["Content-Security-Policy"]
            if is_preview or not response.get("Content-Type", "").startswith("text/html"):
                continue
            reader = Reader()
            reader.feed(response.content.decode())
            if reader.inline:
                inline[page.template] = reader.inline
            styles |= set(reader.styles)

        assert inline == {}
        assert styles == set(content_security.UNFOLD_STYLES)
