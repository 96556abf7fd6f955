"""The customer's own tokens."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api.serializers import TokenTransactionSerializer, shape
from billing.models import TokenTransaction
from billing.services import tokens
from config.pagination import SliceParameters


@extend_schema(tags=["tokens"])
class TokenViewSet(viewsets.ViewSet):
    @extend_schema(
        operation_id="tokens_balance",
        responses=inline_serializer("TokenBalance", {"balance": serializers.IntegerField()}),
    )
    def balance(self, request: Request) -> Response:
        return Response({"balance": tokens.balance_of(user_id=request.user.id)})

    @extend_schema(
        operation_id="tokens_transactions",
        parameters=[SliceParameters],
        responses=inline_serializer(
            "TokenTransactions",
            {
                "transactions": TokenTransactionSerializer(many=True),
                "total": serializers.IntegerField(),
            },
        ),
    )
    def transactions(self, request: Request) -> Response:
        """Every movement, newest first."""
        form = SliceParameters(data=request.query_params)
        form.is_valid(raise_exception=True)
        limit, offset = form.validated_data["limit"], form.validated_data["offset"]
        rows = TokenTransaction.objects.filter(account_id=request.user.id).order_by("-sequence")
        shown = rows[offset : offset + limit]
        return Response(
            {
                "transactions": [shape(TokenTransactionSerializer, row) for row in shown],
                "total": rows.count(),
            }
        )
