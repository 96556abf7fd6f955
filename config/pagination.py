"""What part of a list is asked for."""

from __future__ import annotations

from rest_framework import serializers


class PageParameters(serializers.Serializer):
    """``?page=&per_page=``, counted from 1."""

    page = serializers.IntegerField(min_value=1, max_value=1_000_000, default=1)
    per_page = serializers.IntegerField(min_value=1, max_value=100, default=20)


class SliceParameters(serializers.Serializer):
    """``?limit=&offset=``, counted from 0."""

    limit = serializers.IntegerField(min_value=1, max_value=100, default=20)
    offset = serializers.IntegerField(min_value=0, max_value=100_000_000, default=0)
