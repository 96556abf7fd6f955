"""The pages that staff see where something is refused or fails: they need no database."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpResponse
from django.template.loader import render_to_string

TITLES = {
    400: "That could not be understood",
    403: "You may not do this",
    404: "There is nothing here",
    500: "Something went wrong",
    503: "The database does not answer",
}
SENTENCES = {
    400: "The address or the form was not one of ours. Go back and try again.",
    403: "It is not among what your group may do. A superuser can change that.",
    404: "It was moved or removed, or the address has a mistake in it.",
    500: "It is our fault, and it is in the log. Nothing was saved halfway.",
    503: "It is restarting or busy. What you have just sent may or may not have been carried out: "
    "look at the page in a moment before you send it again.",
}
FORM_TOO_OLD = "The form was open for too long, or you have signed in anew since. Load it again."


def page(status: int, sentence: str = "") -> HttpResponse:
    """
    :param sentence: in place of the usual one
    """
    values = {
        "status": status,
        "title": TITLES[status],
        "sentence": sentence or SENTENCES[status],
        # Not by the manifest: a page about a failure must not fail where that is missing.
        "style": f"{settings.STATIC_URL}errors/page.css",
    }
    return HttpResponse(render_to_string("error.html", values), status=status)
