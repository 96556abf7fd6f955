from django.urls import path

from accounts.api.sessions import (
    ForgotPassword,
    Login,
    Logout,
    Refresh,
    Register,
    ResetPassword,
)
from accounts.api.staff_users import StaffUserViewSet
from accounts.api.user import ChangePassword, Details, Profile

urlpatterns = [
    path("auth/register", Register.as_view()),
    path("auth/login", Login.as_view()),
    path("auth/refresh", Refresh.as_view()),
    path("auth/logout", Logout.as_view()),
    path("auth/forgot-password", ForgotPassword.as_view()),
    path("auth/reset-password", ResetPassword.as_view()),
    path("admin/users", StaffUserViewSet.as_view({"get": "list", "post": "create"})),
    path("admin/users/<str:pk>", StaffUserViewSet.as_view({"get": "retrieve", "put": "update"})),
    path("admin/users/<str:pk>/suspend", StaffUserViewSet.as_view({"post": "suspend"})),
    path("admin/users/<str:pk>/activate", StaffUserViewSet.as_view({"post": "activate"})),
    path("user/profile", Profile.as_view()),
    path("user/details", Details.as_view()),
    path("user/change-password", ChangePassword.as_view()),
]
