"""The catalogue in the staff area: what is off sale and put away is here too."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from math import ceil
from typing import Any, ClassVar

from django.db.models import Prefetch, QuerySet
from django.http import Http404
from django.utils import timezone
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.staff import StaffView
from catalog.api.staff_serializers import (
    AddOnInput,
    BundlesQuery,
    ItemInput,
    PlanInput,
    StaffAddOnSerializer,
    StaffPlanSerializer,
    StaffTokenBundleSerializer,
    TokenBundleInput,
)
from catalog.models import AddOn, Plan, TokenBundle, default_currency
from catalog.money import Money
from catalog.services import editing, items, prices
from catalog.services.prices import AnyItem
from config.parameters import path_id
from config.schema import ErrorSerializer

TAG = "staff: catalogue"


class ItemViewSet(StaffView, viewsets.ViewSet):
    """
    What plans, bundles and add-ons have in common.

    ``key`` is what an answer calls one of them.
    """

    kind: ClassVar[type[AnyItem]]
    key: ClassVar[str]
    noun: ClassVar[str]
    input: ClassVar[type[ItemInput]]
    output: ClassVar[type[serializers.Serializer]]

    def create(self, request: Request) -> Response:
        form = self.input(data=request.data)
        form.is_valid(raise_exception=True)
        values, more = self._told(form.validated_data)
        item = editing.create(kind=self.kind, values=values, **more, now=timezone.now())
        return self._answer(item.pk, f"The {self.noun} is made.", status=201)

    def retrieve(self, request: Request, pk: str) -> Response:
        return self._answer(self._find(pk).pk)

    def update(self, request: Request, pk: str) -> Response:
        item = self._find(pk)
        form = self.input(data=request.data, partial=True)
        form.is_valid(raise_exception=True)
        values, more = self._told(form.validated_data, item)
        editing.edit(item=item, values=values, **more, now=timezone.now())
        return self._answer(item.pk, f"The {self.noun} is changed.")

    def destroy(self, request: Request, pk: str) -> Response:
        items.delete(item=self._find(pk))
        return Response({"message": f"The {self.noun} is deleted."})

    def activate(self, request: Request, pk: str) -> Response:
        item = items.activate(item=self._find(pk))
        return self._answer(item.pk, f"The {self.noun} is on sale.")

    def deactivate(self, request: Request, pk: str) -> Response:
        item = items.deactivate(item=self._find(pk))
        return self._answer(item.pk, f"The {self.noun} is off sale.")

    def _told(
        self, given: dict[str, Any], item: AnyItem | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """The columns, and what else there is: the price, its fee, the plans of an add-on."""
        values = dict(given)
        amounts = {name: values.pop(name) for name in ("price", "setup_fee") if name in values}
        currency = values.pop("currency", None)
        more: dict[str, Any] = {"plan_ids": values.pop("plan_ids")} if "plan_ids" in values else {}
        if currency and item is None:
            values["default_currency"] = currency
        known = currency or (item.default_currency if item else default_currency())
        return values, more | {name: Money(amount, known) for name, amount in amounts.items()}

    def _page(self, request: Request) -> Response:
        query = BundlesQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        asked = query.validated_data
        rows = self._rows() if asked["include_inactive"] else self._rows().filter(is_active=True)
        page, per_page, total = asked["page"], asked["per_page"], rows.count()
        first = (page - 1) * per_page
        return Response(
            {
                "items": self._shown(rows.order_by("-id")[first : first + per_page]),
                "total": total,
                "page": page,
                "per_page": per_page,
                "pages": ceil(total / per_page),
            }
        )

    def _rows(self) -> QuerySet[Any]:
        return self.kind.objects.all()

    def _find(self, pk: str) -> Any:
        item = self.kind.objects.filter(pk=path_id(pk)).first()
        if item is None:
            raise Http404
        return item

    def _shown(self, rows: QuerySet[Any]) -> list[dict[str, Any]]:
        listings = prices.listings(rows, currency=None, now=timezone.now())
        return list(self.output(listings, many=True).data)

    def _answer(self, pk: Any, message: str = "", status: int = 200) -> Response:
        [shown] = self._shown(self._rows().filter(pk=pk))
        body = {self.key: shown} | ({"message": message} if message else {})
        return Response(body, status=status)


def _needs(model: str) -> dict[str, str]:
    change = dict.fromkeys(
        ("update", "activate", "deactivate", "archive"), f"catalog.change_{model}"
    )
    return change | {
        "list": f"catalog.view_{model}",
        "retrieve": f"catalog.view_{model}",
        "by_slug": f"catalog.view_{model}",
        "create": f"catalog.add_{model}",
        "copy": f"catalog.add_{model}",
        "destroy": f"catalog.delete_{model}",
    }


def _documented(
    name: str, given: type[ItemInput], shown: type[serializers.Serializer]
) -> Callable[[type[ItemViewSet]], type[ItemViewSet]]:
    """Give a view its own copies of what it inherits, each with its place in the schema."""

    def decorate(view: type[ItemViewSet]) -> type[ItemViewSet]:
        one = inline_serializer(f"OneStaff{name}", {view.key: shown()})
        changed = inline_serializer(
            f"Staff{name}Changed", {view.key: shown(), "message": serializers.CharField()}
        )
        gone = inline_serializer(f"Staff{name}Deleted", {"message": serializers.CharField()})
        options: dict[str, dict[str, Any]] = {
            "create": {"request": given, "responses": {201: changed}},
            "retrieve": {"responses": one},
            "update": {"request": given(partial=True), "responses": changed},
            "destroy": {"responses": {200: gone}},
            "activate": {"request": None, "responses": changed},
            "deactivate": {"request": None, "responses": changed},
            "archive": {"request": None, "responses": changed},
            "copy": {"request": None, "responses": {201: changed}},
        }
        for action, described in options.items():
            if hasattr(view, action):
                document = extend_schema(
                    tags=[TAG], operation_id=f"staff_{view.key}_{action}", **described
                )
                setattr(view, action, document(_own(getattr(view, action))))
        return view

    return decorate


def _own(inherited: Callable[..., Response]) -> Callable[..., Response]:
    @wraps(inherited)
    def call(self: ItemViewSet, *args: Any, **kwargs: Any) -> Response:
        return inherited(self, *args, **kwargs)

    return call


@_documented("Plan", PlanInput, StaffPlanSerializer)
class StaffPlanViewSet(ItemViewSet):
    kind, key, noun = Plan, "plan", "plan"
    input, output = PlanInput, StaffPlanSerializer
    needs = _needs("plan")

    @extend_schema(
        tags=[TAG],
        operation_id="staff_plans_list",
        responses=inline_serializer("StaffPlans", {"plans": StaffPlanSerializer(many=True)}),
    )
    def list(self, request: Request) -> Response:
        """All plans, newest first."""
        return Response({"plans": self._shown(self._rows().order_by("-id"))})

    def archive(self, request: Request, pk: str) -> Response:
        """Take it off sale for good; whoever has it keeps it."""
        items.archive(item=self._find(pk), now=timezone.now())
        return self._answer(path_id(pk), "The plan is archived.")

    def copy(self, request: Request, pk: str) -> Response:
        """Make another one like it, with its prices, off sale at first."""
        plan = self._find(pk)
        name = f"{plan.name[:90]} (copy)"
        slug = editing.slug_for_copy(kind=Plan, slug=plan.slug)
        made = items.duplicate(item=plan, name=name, slug=slug, now=timezone.now())
        return self._answer(made.pk, "The plan is copied.", status=201)


@_documented("TokenBundle", TokenBundleInput, StaffTokenBundleSerializer)
class StaffTokenBundleViewSet(ItemViewSet):
    kind, key, noun = TokenBundle, "bundle", "token bundle"
    input, output = TokenBundleInput, StaffTokenBundleSerializer
    needs = _needs("tokenbundle")

    @extend_schema(
        tags=[TAG],
        operation_id="staff_bundles_list",
        parameters=[BundlesQuery],
        responses={
            200: inline_serializer(
                "StaffTokenBundles",
                {
                    "items": StaffTokenBundleSerializer(many=True),
                    "total": serializers.IntegerField(),
                    "page": serializers.IntegerField(),
                    "per_page": serializers.IntegerField(),
                    "pages": serializers.IntegerField(),
                },
            ),
            400: ErrorSerializer,
        },
    )
    def list(self, request: Request) -> Response:
        """The bundles on sale, newest first; with ``include_inactive`` all of them."""
        return self._page(request)


@_documented("AddOn", AddOnInput, StaffAddOnSerializer)
class StaffAddOnViewSet(ItemViewSet):
    kind, key, noun = AddOn, "addon", "add-on"
    input, output = AddOnInput, StaffAddOnSerializer
    needs = _needs("addon")

    def _rows(self) -> QuerySet[AddOn]:
        return AddOn.objects.prefetch_related(Prefetch("plans", Plan.objects.only("id")))

    @extend_schema(
        tags=[TAG],
        operation_id="staff_addons_list",
        parameters=[BundlesQuery],
        responses={
            200: inline_serializer(
                "StaffAddOns",
                {
                    "items": StaffAddOnSerializer(many=True),
                    "total": serializers.IntegerField(),
                    "page": serializers.IntegerField(),
                    "per_page": serializers.IntegerField(),
                    "pages": serializers.IntegerField(),
                },
            ),
            400: ErrorSerializer,
        },
    )
    def list(self, request: Request) -> Response:
        """The add-ons on sale, newest first; with ``include_inactive`` all of them."""
        return self._page(request)

    @extend_schema(
        tags=[TAG],
        operation_id="staff_addon_by_slug",
        responses=inline_serializer("StaffAddOnBySlug", {"addon": StaffAddOnSerializer()}),
    )
    def by_slug(self, request: Request, slug: str) -> Response:
        item = AddOn.objects.filter(slug=slug).first()
        if item is None:
            raise Http404
        return self._answer(item.pk)
