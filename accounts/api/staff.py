"""What the API's staff area asks of whoever calls it: to be staff, and to have the permission."""

from __future__ import annotations

from typing import Any

from rest_framework.exceptions import MethodNotAllowed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.services import second_factor


class HasPermission(BasePermission):
    """
    The permission that the view's ``needs`` names for what is asked of it.

    What has no entry is refused to everybody: a forgotten one is noticed at once.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        if not request.user.is_staff:
            return False
        method = (request.method or "").lower()
        if method == "options":
            return True
        if not hasattr(view, method):
            raise MethodNotAllowed(method.upper())
        needed = view.needs.get(getattr(view, "action", None) or method)
        if needed is None or not request.user.has_perm(needed):
            return False
        second_factor.require_set_up(user=request.user)
        return True


class StaffView(APIView):
    """
    A view under ``/admin/``.

    ``needs`` says which permission each action of a view set, or each method of a view, asks for:
    the same ones that the admin's pages ask for.
    """

    permission_classes = [HasPermission]
    needs: dict[str, str] = {}
