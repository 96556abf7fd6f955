"""Beside the admin's own addresses, and before them."""

from django.urls import path

from accounts.staff_login.views import EnterCode, SetUp

urlpatterns = [
    path("second-factor/", EnterCode.as_view(), name="second-factor"),
    path("second-factor/set-up/", SetUp.as_view(), name="second-factor-set-up"),
]
