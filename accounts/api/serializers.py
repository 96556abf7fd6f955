"""The shapes of what comes in and goes out."""

from __future__ import annotations

from typing import Any

from django.db import models
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.api.fields import (
    EmailField,
    LanguageField,
    PasswordField,
    TextField,
    TokenField,
)
from accounts.models import BillingDetails, User
from config.schema import ErrorSerializer


class RegistrationSerializer(serializers.Serializer):
    email = EmailField()
    password = PasswordField()
    language = LanguageField(required=False)


class CredentialsSerializer(serializers.Serializer):
    # No e-mail field: what cannot be an address is an unknown one, and answered alike.
    email = TextField(max_length=254)
    password = PasswordField()
    code = TextField(
        max_length=16,
        required=False,
        default="",
        allow_blank=True,
        help_text="Of the authenticator app, for staff who have set up the second factor.",
    )


class TokensSerializer(serializers.Serializer):
    token = serializers.CharField(source="access", help_text="For the Authorization header.")
    refresh_token = serializers.CharField(source="refresh", help_text="Good for one refresh.")


class SignedInSerializer(TokensSerializer):
    success = serializers.SerializerMethodField()
    user_id = serializers.UUIDField()

    def get_success(self, tokens: Any) -> bool:
        return True


class NotSignedInSerializer(ErrorSerializer):
    success = serializers.BooleanField(help_text="Always false.")

    class Meta:
        ref_name = "NotSignedIn"


class RefreshTokenSerializer(serializers.Serializer):
    refresh_token = TokenField()


class ForgottenPasswordSerializer(serializers.Serializer):
    email = EmailField()


class PasswordResetSerializer(serializers.Serializer):
    token = TokenField()
    new_password = PasswordField()


class PasswordChangeSerializer(serializers.Serializer):
    current_password = PasswordField()
    new_password = PasswordField()


class DoneSerializer(serializers.Serializer):
    success = serializers.BooleanField(help_text="Always true.")
    message = serializers.CharField(required=False)


class UserSerializer(serializers.ModelSerializer):
    role = serializers.ChoiceField(["user", "admin"], read_only=True)

    class Meta:
        model = User
        fields = ["id", "email", "status", "role", "language", "created_at"]
        read_only_fields = fields


class DetailsSerializer(serializers.ModelSerializer):
    """All of them out; in, those that are to be replaced."""

    serializer_field_mapping = {
        **serializers.ModelSerializer.serializer_field_mapping,
        models.CharField: TextField,
    }

    class Meta:
        model = BillingDetails
        exclude = ["user"]


class OwnDetailsSerializer(DetailsSerializer):
    """With the language of the mails to the customer, which belongs to the account."""

    language = LanguageField(required=False, source="user.language")


class ProfileSerializer(serializers.Serializer):
    email = serializers.EmailField()
    user = UserSerializer(source="*")
    details = serializers.SerializerMethodField()

    @extend_schema_field(DetailsSerializer(allow_null=True))
    def get_details(self, user: User) -> Any:
        details = getattr(user, "billing_details", None)
        return DetailsSerializer(details).data if details else None
