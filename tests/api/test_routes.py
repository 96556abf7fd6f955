from __future__ import annotations

import pytest
from django.urls import reverse

from tests.api.routes import Route, every_route
from tests.factories import UserFactory

ROUTES = every_route()


def name(route: Route) -> str:
    return route.template.removeprefix("/api/v1/")


class TestTrailingSlash:
    @pytest.mark.parametrize("route", ROUTES, ids=name)
    @pytest.mark.parametrize("is_signed_in", [False, True])
    @pytest.mark.django_db
    def test_makes_no_difference(self, api, signed_in, route, is_signed_in):
        user = UserFactory(email="somebody@example.com")

        for method in (*route.methods, "options", "trace"):
            client = signed_in(user) if is_signed_in else api
            without = client.generic(method.upper(), route.address)
            client = signed_in(user) if is_signed_in else api
            with_slash = client.generic(method.upper(), route.address + "/")

            assert with_slash.status_code == without.status_code, method
            assert without.status_code not in (301, 302, 307, 308), method
            assert "Location" not in with_slash.headers, method

    def test_walks_all_of_them(self):
        assert "/api/v1/user/invoices/<str:pk>/pay" in {route.template for route in ROUTES}
        assert all(route.methods for route in ROUTES)
        assert len(ROUTES) >= 29

    def test_of_a_pattern_is_none(self):
        assert [route.template for route in ROUTES if route.template.endswith("/")] == []


class TestPrivacy:
    def test_is_401_for_a_stranger(self, api):
        private = ("/api/v1/user/", "/api/v1/admin/")

        for route in ROUTES:
            for method in route.methods if route.template.startswith(private) else ():
                response = getattr(api, method)(route.address)

                assert response.status_code == 401, route
                assert response.json()["code"] == "not_authenticated", route

    @pytest.mark.django_db
    def test_of_staff_is_403_for_a_customer(self, signed_in, customer):
        client = signed_in(customer)

        for route in ROUTES:
            for method in route.methods if route.template.startswith("/api/v1/admin/") else ():
                response = getattr(client, method)(route.address)

                assert response.status_code == 403, route
                assert response.json()["code"] == "permission_denied", route


class TestIds:
    @pytest.mark.parametrize("route", [r for r in ROUTES if "<str:pk>" in r.template], ids=name)
    @pytest.mark.parametrize("pk", ["1", "nothing", "%00", "x" * 5000])
    @pytest.mark.django_db
    def test_that_are_no_uuid_are_400(self, signed_in, route, pk):
        user = UserFactory(is_staff=True, is_superuser=True)  # who may do anything, staff's too

        for method in route.methods:
            address = route.template.replace("<str:pk>", pk)
            response = getattr(signed_in(user), method)(address)

            assert response.status_code == 400, method
            assert response.json()["code"] == "invalid_id"


class TestNames:
    def test_of_the_two_that_pages_link_to(self):
        assert reverse("schema") == "/api/v1/schema"
        assert reverse("docs") == "/api/v1/docs"
