"""What visitors see of the catalogue: no sign-in, no cache, as it is at this moment."""

from __future__ import annotations

from django.conf import settings
from django.db.models import Prefetch, QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from catalog.api.serializers import (
    AddOnsSerializer,
    CatalogueQuery,
    PlanSerializer,
    PlansQuery,
    PlansSerializer,
    TokenBundlesSerializer,
)
from catalog.models import AddOn, Plan, TokenBundle
from catalog.services import prices
from catalog.services.prices import ItemType, Listing
from config.schema import ErrorSerializer


class PublicView(APIView):
    """Does not look at who asks: a stale token must not close the shop window."""

    authentication_classes = []
    permission_classes = []

    def query(self, query_class: type[CatalogueQuery]) -> dict[str, str | None]:
        query = query_class(data=self.request.query_params)
        query.is_valid(raise_exception=True)
        return query.validated_data


class Plans(PublicView):
    @extend_schema(
        operation_id="tarif_plans_list",
        tags=["catalogue"],
        parameters=[PlansQuery],
        responses={200: PlansSerializer, 400: ErrorSerializer},
    )
    def get(self, request: Request) -> Response:
        """The plans on sale; with a currency, those that have a price in it."""
        query = self.query(PlansQuery)
        answer = {
            "plans": _on_sale(Plan.objects.on_sale(), query.get("currency")),
            "currency": query.get("currency") or settings.BILLING_DEFAULT_CURRENCY,
            "country": query.get("country"),
        }
        return Response(PlansSerializer(answer).data)


class PlanBySlug(PublicView):
    @extend_schema(tags=["catalogue"], parameters=[CatalogueQuery], responses={200: PlanSerializer})
    def get(self, request: Request, slug: str) -> Response:
        """One plan on sale; 404 also where it has no price in the currency."""
        currency = self.query(CatalogueQuery).get("currency")
        plans = _on_sale(Plan.objects.on_sale().filter(slug=slug), currency)
        if not plans:
            raise NotFound("There is no plan on sale with this slug and currency.")
        return Response(PlanSerializer(plans[0]).data)


class TokenBundles(PublicView):
    @extend_schema(
        tags=["catalogue"],
        parameters=[CatalogueQuery],
        responses={200: TokenBundlesSerializer, 400: ErrorSerializer},
    )
    def get(self, request: Request) -> Response:
        """The token bundles on sale; with a currency, those that have a price in it."""
        currency = self.query(CatalogueQuery).get("currency")
        bundles = _on_sale(TokenBundle.objects.on_sale(), currency)
        return Response(TokenBundlesSerializer({"bundles": bundles}).data)


class AddOns(PublicView):
    @extend_schema(
        tags=["catalogue"],
        parameters=[CatalogueQuery],
        responses={200: AddOnsSerializer, 400: ErrorSerializer},
    )
    def get(self, request: Request) -> Response:
        """The add-ons on sale; with a currency, those that have a price in it."""
        currency = self.query(CatalogueQuery).get("currency")
        plans = Prefetch("plans", Plan.objects.only("id"))
        add_ons = _on_sale(AddOn.objects.on_sale().prefetch_related(plans), currency)
        return Response(AddOnsSerializer({"addons": add_ons}).data)


def _on_sale(items: QuerySet[ItemType], currency: str | None) -> list[Listing[ItemType]]:
    """What has no price (in the currency) cannot be bought (in it): it is left out."""
    items = items.order_by("sort_order", "name", "id")
    listings = prices.listings(items, currency=currency, now=timezone.now())
    return [listing for listing in listings if listing.price is not None]
