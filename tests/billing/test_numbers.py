from datetime import UTC, datetime

import pytest
from django.db import connection, transaction

from billing.models import InvoiceSeries
from billing.services import numbers

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.django_db
class TestTake:
    def test_counts_from_one_within_the_first_series_of_the_day(self):
        taken = [numbers.take(now=NOON) for _ in range(3)]

        assert taken == [
            "INV-20260301-01-000001",
            "INV-20260301-01-000002",
            "INV-20260301-01-000003",
        ]

    def test_begins_anew_each_day(self):
        numbers.take(now=NOON)

        assert numbers.take(now=datetime(2026, 3, 2, tzinfo=UTC)) == "INV-20260302-01-000001"
        assert numbers.take(now=NOON) == "INV-20260301-01-000002"

    @pytest.mark.parametrize(
        ("zone", "now", "number"),
        [
            ("UTC", datetime(2026, 12, 31, 23, 30, tzinfo=UTC), "INV-20261231-01-000001"),
            # Tokyo is nine hours ahead: its day begins at 15:00 UTC.
            ("Asia/Tokyo", datetime(2026, 12, 31, 23, 30, tzinfo=UTC), "INV-20270101-01-000001"),
            (
                "Asia/Tokyo",
                datetime(2026, 3, 1, 14, 59, 59, 999999, tzinfo=UTC),
                "INV-20260301-01-000001",
            ),
            ("Asia/Tokyo", datetime(2026, 3, 1, 15, tzinfo=UTC), "INV-20260302-01-000001"),
            ("America/New_York", datetime(2026, 3, 1, 4, 59, tzinfo=UTC), "INV-20260228-01-000001"),
            ("America/New_York", datetime(2026, 3, 1, 5, tzinfo=UTC), "INV-20260301-01-000001"),
        ],
    )
    def test_has_the_day_of_the_seller(self, settings, zone, now, number):
        settings.BILLING_TIME_ZONE = zone

        assert numbers.take(now=now) == number

    def test_is_one_statement_where_the_series_is_open(self, django_assert_num_queries):
        numbers.take(now=NOON)

        with django_assert_num_queries(1):
            numbers.take(now=NOON)

    def test_goes_on_after_six_digits(self):
        InvoiceSeries.objects.create(day=NOON.date(), series=1, last_number=999_999)

        assert numbers.take(now=NOON) == "INV-20260301-01-1000000"


@pytest.mark.django_db(transaction=True)
class TestTakeBesideOthers:
    def test_what_is_rolled_back_leaves_no_gap(self):
        numbers.take(now=NOON)
        with transaction.atomic():
            numbers.take(now=NOON)
            transaction.set_rollback(True)

        assert numbers.take(now=NOON) == "INV-20260301-01-000002"

    def test_opens_the_next_series_while_the_first_is_held(self):
        numbers.take(now=NOON)
        other = connection.copy()
        other.set_autocommit(False)
        try:
            with other.cursor() as cursor:
                cursor.execute("SELECT 1 FROM billing_invoiceseries FOR UPDATE")
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '2s'")  # whoever waits fails

            taken = [numbers.take(now=NOON) for _ in range(2)]
        finally:
            other.rollback()
            other.close()
            with connection.cursor() as cursor:
                cursor.execute("RESET lock_timeout")

        assert taken == ["INV-20260301-02-000001", "INV-20260301-02-000002"]
        assert numbers.take(now=NOON) == "INV-20260301-01-000002"
