"""POST /webhooks/payment: a provider, or a member of staff, says that money arrived."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from standardwebhooks import Webhook, WebhookVerificationError

from accounts.authentication import SessionTokenAuthentication
from accounts.services import limits, second_factor
from accounts.services.limits import Tried
from accounts.staff_login.callers import address_of
from billing.services import payments
from catalog.money import DECIMAL_PLACES, MAX_DIGITS, Money
from config.schema import ErrorSerializer

SIGNED = "signed"
PROVIDER = "webhook"


class WebhookSignature(BaseAuthentication):
    """
    The Standard Webhooks scheme: HMAC-SHA256 over id, moment and body, five minutes good.

    Every secret of BILLING_WEBHOOK_SECRETS is accepted, so that one can be replaced by the next.
    """

    def authenticate(self, request: Request) -> tuple[Any, str]:
        names = ("webhook-id", "webhook-timestamp", "webhook-signature")
        headers = {name: request.headers.get(name, "") for name in names}
        if not all(headers.values()):
            raise _refused(request, "The webhook is not signed.")
        body = request.body
        for secret in settings.BILLING_WEBHOOK_SECRETS:
            try:
                Webhook(secret).verify(body, headers, json_parse=False)
            except (WebhookVerificationError, ValueError):  # ValueError: not even the right form
                continue
            return AnonymousUser(), SIGNED
        raise _refused(request, "The webhook's signature is wrong or older than five minutes.")


def _refused(request: Request, sentence: str) -> AuthenticationFailed:
    """Who tries signatures is slowed down; a right one is always let in."""
    limits.count(Tried("webhook", address_of(request)), now=timezone.now())
    return AuthenticationFailed(sentence)


class WebhookSignatureScheme(OpenApiAuthenticationExtension):
    target_class = WebhookSignature
    name = "StandardWebhooks"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "apiKey",
            "in": "header",
            "name": "webhook-signature",
            "description": "Standard Webhooks: webhook-id, webhook-timestamp, webhook-signature.",
        }


class MayTakePayments(BasePermission):
    """A signed webhook, or a member of staff with the right to take payments."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        if request.auth == SIGNED:
            return True
        if not (request.user.is_staff and request.user.has_perm("billing.take_payment")):
            return False
        second_factor.require_set_up(user=request.user)
        return True


class PaymentNoticeSerializer(serializers.Serializer):
    # Not a UUID: whatever the payer named, money that arrived is kept.
    invoice_id = serializers.CharField(max_length=255)
    payment_reference = serializers.CharField(max_length=255)
    amount = serializers.DecimalField(max_digits=MAX_DIGITS, decimal_places=DECIMAL_PLACES)
    currency = serializers.CharField(max_length=3)


class ActivatedSerializer(serializers.Serializer):
    subscriptions = serializers.IntegerField()
    token_bundles = serializers.IntegerField()
    add_ons = serializers.IntegerField()


class ReceiptSerializer(serializers.Serializer):
    status = serializers.ChoiceField(["success"])
    invoice_id = serializers.UUIDField()
    payment_reference = serializers.CharField()
    subscription_activated = serializers.BooleanField()
    tokens_credited = serializers.IntegerField()
    addons_activated = serializers.IntegerField()
    items_activated = ActivatedSerializer()


class PaymentWebhook(APIView):
    authentication_classes = [SessionTokenAuthentication, WebhookSignature]
    permission_classes = [MayTakePayments]

    @extend_schema(
        tags=["payments"],
        operation_id="payment_notification",
        request=PaymentNoticeSerializer,
        responses={
            200: ReceiptSerializer,
            403: ErrorSerializer,
            409: ErrorSerializer,
            429: ErrorSerializer,
        },
    )
    def post(self, request: Request) -> Response:
        """Take a payment; the same notification again gives the same answer."""
        form = PaymentNoticeSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        told = form.validated_data
        notice = payments.Notice(
            provider=PROVIDER,
            reference=told["payment_reference"],
            invoice_reference=told["invoice_id"],
            money=Money(told["amount"], told["currency"].upper()),
            method=PROVIDER,
        )
        receipt = payments.capture(notice=notice, now=timezone.now())
        return Response(
            {
                "status": "success",
                "invoice_id": receipt.invoice_id,
                "payment_reference": receipt.payment_reference,
                "subscription_activated": receipt.subscription_activated,
                "tokens_credited": receipt.tokens_credited,
                "addons_activated": receipt.add_ons_activated,
                "items_activated": {
                    "subscriptions": int(receipt.subscription_activated),
                    "token_bundles": receipt.bundles_credited,
                    "add_ons": receipt.add_ons_activated,
                },
            }
        )
