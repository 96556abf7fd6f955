"""All addresses: the admin, the API, and one clear sentence for everything else."""

from django.contrib import admin
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from billing.metrics import metrics
from config.api import django_error

urlpatterns = [
    path("", RedirectView.as_view(url="/admin/")),
    path("admin/", include("accounts.staff_login.urls")),
    path("admin/", include("billing.admin.reports")),
    path("admin/", include("billing.admin.inbox")),
    path("admin/", include("billing.admin.upcoming")),
    path("admin/", admin.site.urls),
    path("admin", RedirectView.as_view(url="/admin/")),
    path("api/v1/", include("config.api")),
    path("metrics", metrics),
    # Not left to handler404: with DEBUG that would be a page of HTML.
    re_path(r"", django_error(404)),
]

handler400 = django_error(400)
handler403 = django_error(403)
handler404 = django_error(404)
handler500 = django_error(500)
