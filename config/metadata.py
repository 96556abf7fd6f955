"""What OPTIONS answers."""

from __future__ import annotations

from typing import Any

from rest_framework.metadata import SimpleMetadata
from rest_framework.request import Request


class Metadata(SimpleMetadata):
    """
    What a view takes and gives, and not the fields of its forms.

    Those the schema has. A view has them by action, and the library would ask for one of them all.
    """

    def determine_actions(self, _request: Request, _view: Any) -> dict[str, Any]:
        return {}
