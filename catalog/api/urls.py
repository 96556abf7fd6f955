from django.urls import path

from catalog.api import views

urlpatterns = [
    path("tarif-plans", views.Plans.as_view(), name="plans"),
    path("tarif-plans/addons", views.AddOns.as_view(), name="plans-add-ons"),
    path("tarif-plans/<slug:slug>", views.PlanBySlug.as_view(), name="plan"),
    path("token-bundles", views.TokenBundles.as_view(), name="token-bundles"),
    path("addons", views.AddOns.as_view(), name="add-ons"),
]
