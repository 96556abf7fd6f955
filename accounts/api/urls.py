from django.urls import path

from accounts.api.sessions import (
    ForgotPassword,
    Login,
    Logout,
    Refresh,
    Register,
    ResetPassword,
)
from accounts.api.user import ChangePassword, Details, Profile

urlpatterns = [
    path("auth/register", Register.as_view()),
    path("auth/login", Login.as_view()),
    path("auth/refresh", Refresh.as_view()),
    path("auth/logout", Logout.as_view()),
    path("auth/forgot-password", ForgotPassword.as_view()),
    path("auth/reset-password", ResetPassword.as_view()),
    path("user/profile", Profile.as_view()),
    path("user/details", Details.as_view()),
    path("user/change-password", ChangePassword.as_view()),
]
