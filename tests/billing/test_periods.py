from datetime import UTC, datetime

import pytest

from billing.services import periods


def day(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}T10:30:00+00:00")


class TestEnd:
    @pytest.mark.parametrize(
        ("anchor", "billing_period", "ends"),
        [
            # The table of docs/billing-rules.md.
            ("2026-01-31", "monthly", ["2026-02-28", "2026-03-31", "2026-04-30"]),
            ("2028-01-31", "monthly", ["2028-02-29", "2028-03-31", "2028-04-30"]),
            ("2026-11-30", "quarterly", ["2027-02-28", "2027-05-30", "2027-08-30"]),
            ("2028-02-29", "yearly", ["2029-02-28", "2030-02-28", "2031-02-28"]),
            ("2026-12-29", "weekly", ["2027-01-05", "2027-01-12", "2027-01-19"]),
            # Others.
            ("2026-01-30", "monthly", ["2026-02-28", "2026-03-30", "2026-04-30"]),
            ("2026-01-29", "monthly", ["2026-02-28", "2026-03-29", "2026-04-29"]),
            ("2026-12-31", "monthly", ["2027-01-31", "2027-02-28", "2027-03-31"]),
            ("2026-02-28", "monthly", ["2026-03-28", "2026-04-28", "2026-05-28"]),
            ("2026-03-15", "monthly", ["2026-04-15", "2026-05-15", "2026-06-15"]),
            ("2027-11-29", "quarterly", ["2028-02-29", "2028-05-29", "2028-08-29"]),
            ("2027-12-31", "quarterly", ["2028-03-31", "2028-06-30", "2028-09-30"]),
            ("2026-12-31", "yearly", ["2027-12-31", "2028-12-31", "2029-12-31"]),
            ("2028-02-26", "weekly", ["2028-03-04", "2028-03-11", "2028-03-18"]),
        ],
    )
    def test_is_counted_from_the_anchor_by_the_calendar(self, anchor, billing_period, ends):
        counted = [
            periods.end(anchor=day(anchor), billing_period=billing_period, count=count)
            for count in (1, 2, 3)
        ]

        assert counted == [day(end) for end in ends]

    def test_a_leap_year_gets_its_29_february_back(self):
        end = periods.end(anchor=day("2028-02-29"), billing_period="yearly", count=4)

        assert end == datetime(2032, 2, 29, 10, 30, tzinfo=UTC)

    def test_is_one_period_where_no_number_is_given(self):
        assert periods.end(anchor=day("2026-01-31"), billing_period="monthly") == datetime(
            2026, 2, 28, 10, 30, tzinfo=UTC
        )

    def test_of_what_is_paid_once_is_never(self):
        assert periods.end(anchor=day("2026-01-31"), billing_period="one_time") is None
