from django.urls import URLPattern, path

from catalog.api import views
from catalog.api.staff import (
    ItemViewSet,
    StaffAddOnViewSet,
    StaffPlanViewSet,
    StaffTokenBundleViewSet,
)


def _staff(name: str, view: type[ItemViewSet], *actions: str) -> list[URLPattern]:
    one = {"get": "retrieve", "put": "update", "delete": "destroy"}
    return [
        path(f"admin/{name}", view.as_view({"get": "list", "post": "create"})),
        path(f"admin/{name}/<str:pk>", view.as_view(one)),
        *(
            path(f"admin/{name}/<str:pk>/{action}", view.as_view({"post": action}))
            for action in actions
        ),
    ]


urlpatterns = [
    path("tarif-plans", views.Plans.as_view(), name="plans"),
    path("tarif-plans/addons", views.AddOns.as_view(), name="plans-add-ons"),
    path("tarif-plans/<slug:slug>", views.PlanBySlug.as_view(), name="plan"),
    path("token-bundles", views.TokenBundles.as_view(), name="token-bundles"),
    path("addons", views.AddOns.as_view(), name="add-ons"),
    path("admin/addons/slug/<slug:slug>", StaffAddOnViewSet.as_view({"get": "by_slug"})),
    *_staff("tarif-plans", StaffPlanViewSet, "activate", "deactivate", "archive", "copy"),
    *_staff("token-bundles", StaffTokenBundleViewSet, "activate", "deactivate"),
    *_staff("addons", StaffAddOnViewSet, "activate", "deactivate"),
]
