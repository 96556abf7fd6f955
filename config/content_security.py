"""
What pages may load and run; docs/security.md says what is left open, and why.

Neither 'unsafe-inline' for scripts nor a host other than our own, anywhere.
"""

from __future__ import annotations

from typing import Any

from csp.constants import NONE, SELF, UNSAFE_EVAL, UNSAFE_INLINE

# The <style> element of the pinned django-unfold: the theme's colours. A new version may change
# it: a test walks every page, and says what to put here.
UNFOLD_STYLES = ["'sha256-CftXQ/6rIQ3AMOrJUsQzoK+KGLgk4scJJlfXyvE/1mQ='"]

_EVERYWHERE = {
    "default-src": [NONE],
    "base-uri": [NONE],
    "form-action": [SELF],
    "frame-ancestors": [NONE],
    "object-src": [NONE],
}
_PAGE = {
    **_EVERYWHERE,
    "connect-src": [SELF],
    "font-src": [SELF],
    "img-src": [SELF, "data:"],
    "style-src-attr": [UNSAFE_INLINE],  # style="…" in templates of unfold's and of Swagger's
}

ADMIN: dict[str, Any] = {
    **_PAGE,
    "frame-src": [SELF],  # the preview of a mail, in a sandbox
    # Alpine, which unfold's pages are made with, compiles what stands in its attributes.
    "script-src": [SELF, UNSAFE_EVAL],
    "style-src": [SELF, *UNFOLD_STYLES],
}
DOCUMENTATION: dict[str, Any] = {**_PAGE, "script-src": [SELF], "style-src": [SELF]}
# Answers that are no page: JSON, files, and what a browser is not to take for a page.
NO_PAGE = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
# Of nothing that a page might want does billing want anything.
PERMISSIONS = (
    "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), "
    "magnetometer=(), microphone=(), payment=(), usb=()"
)
