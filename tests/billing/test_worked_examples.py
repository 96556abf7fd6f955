"""
The worked examples of docs/billing-rules.md, played by the services.

What comes of each step stands here, in ``shows``, and as a row of the example's table there: the
last tests hold the two against each other.
"""

import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from billing.models import Coupon, CouponAmount
from billing.services import books
from tests.billing.renewals.story import Behaviour, at
from tests.billing.told import COLUMNS, Story
from tests.factories import AddOnFactory, PlanFactory

RULES = Path(__file__).resolve().parent.parent.parent / "docs" / "billing-rules.md"
EXAMPLES: dict[str, Callable] = {}


def example(title):
    """Under which heading of the document its table is."""

    def keep(play):
        EXAMPLES[title] = play
        return play

    return keep


def plan(name, price, *, currency="USD", **columns):
    return PlanFactory(name=name, prices={currency: price}, **columns)


def coupon(**columns):
    return Coupon.objects.create(code="SPRING", name="Spring", **columns)


def hotline():
    return AddOnFactory(name="Hotline", prices={"USD": "5.00"})


@example("Upgrade on day 10 of 31")
def upgrade():
    story = Story()
    story.checks_out(plan("Basic", "29.00"), at(1, 1))
    story.shows("Basic 29.00", "29.00", "0.00", "Basic, active to 1 February 2026")
    story.changes("upgrade to Pro", at(1, 10), plan=plan("Pro", "99.00"))
    story.shows(
        "Basic: what is not used of it −20.59; Pro for the rest of the period 70.25",
        *("49.66", "0.00", "Pro, active to 1 February 2026"),
    )
    story.is_billed(at(2, 1))
    story.shows("Pro 99.00", "99.00", "0.00", "Pro, active to 1 March 2026")
    return story


@example("Downgrade at the end of the period")
def downgrade_later():
    story = Story()
    story.checks_out(plan("Pro", "99.00"), at(1, 1))
    story.shows("Pro 99.00", "99.00", "0.00", "Pro, active to 1 February 2026")
    story.wishes("Basic is asked for", at(1, 10), plan=plan("Basic", "29.00"))
    story.shows("–", "–", "0.00", "Pro, active to 1 February 2026")
    story.is_billed(at(2, 1))
    story.shows("Basic 29.00", "29.00", "0.00", "Basic, active to 1 March 2026")
    return story


@example("Downgrade at once")
def downgrade_now():
    story = Story()
    story.checks_out(plan("Pro", "99.00"), at(1, 1))
    story.shows("Pro 99.00", "99.00", "0.00", "Pro, active to 1 February 2026")
    story.changes("change to Basic", at(1, 10), plan=plan("Basic", "29.00"))
    story.shows(
        "Pro: what is not used of it −20.58; Basic for the rest of the period 20.58",
        *("0.00", "49.68", "Basic, active to 1 February 2026"),
    )
    story.is_billed(at(2, 1))
    story.shows(
        "Basic 29.00; Credit from before −29.00",
        *("0.00", "20.68", "Basic, active to 1 March 2026"),
    )
    story.is_billed(at(3, 1))
    story.shows(
        "Basic 29.00; Credit from before −20.68",
        *("8.32", "0.00", "Basic, active to 1 April 2026"),
    )
    return story


@example("Yearly to monthly")
def yearly_to_monthly():
    story = Story()
    story.checks_out(plan("Year", "365.00", billing_period="yearly"), at(1, 1))
    story.shows("Year 365.00", "365.00", "0.00", "Year, active to 1 January 2027")
    story.changes("change to Month", at(1, 11), plan=plan("Month", "40.00"))
    story.shows(
        "Year: what is not used of it −40.00; Month 40.00",
        *("0.00", "315.00", "Month, active to 11 February 2026"),
    )
    story.is_billed(at(2, 11))
    story.shows(
        "Month 40.00; Credit from before −40.00",
        *("0.00", "275.00", "Month, active to 11 March 2026"),
    )
    return story


@example("Seats up and down")
def seats():
    story = Story()
    story.checks_out(plan("Team", "31.00"), at(1, 1))
    story.shows("Team 31.00", "31.00", "0.00", "Team, active to 1 February 2026")
    story.changes("three seats", at(1, 11), quantity=3)
    story.shows(
        "Team: what is not used of it −21.00; 3 × Team for the rest of the period 63.00",
        *("42.00", "0.00", "Team, active to 1 February 2026"),
    )
    story.changes("two seats", at(1, 21), quantity=2)
    story.shows(
        "3 × Team: what is not used of it −22.00; 2 × Team for the rest of the period 22.00",
        *("0.00", "11.00", "Team, active to 1 February 2026"),
    )
    story.is_billed(at(2, 1))
    story.shows(
        "2 × Team 62.00; Credit from before −11.00",
        *("51.00", "0.00", "Team, active to 1 March 2026"),
    )
    return story


@example("A pause over the end of a month")
def pause():
    story = Story()
    story.checks_out(plan("Pro", "29.00"), at(1, 31), add_ons=[hotline()])
    story.shows("Pro 29.00; Hotline 5.00", "34.00", "0.00", "Pro, active to 28 February 2026")
    story.pauses(at(2, 20))
    story.shows("–", "–", "0.00", "Pro, paused, 8 days left")
    story.is_billed(at(2, 28), "nothing")
    story.shows("–", "–", "0.00", "Pro, paused, 8 days left")
    story.resumes(at(3, 5))
    story.shows("–", "–", "0.00", "Pro, active to 13 March 2026")
    story.is_billed(at(3, 13))
    story.shows("Pro 29.00; Hotline 5.00", "34.00", "0.00", "Pro, active to 13 April 2026")
    story.is_billed(at(4, 13))
    story.shows("Pro 29.00; Hotline 5.00", "34.00", "0.00", "Pro, active to 13 May 2026")
    return story


@example("Monthly from 31 January of a leap year")
def monthly_from_31_january():
    story = Story()
    story.checks_out(plan("Pro", "29.00"), at(1, 31, year=2028))
    story.shows("Pro 29.00", "29.00", "0.00", "Pro, active to 29 February 2028")
    story.is_billed(at(2, 29, year=2028))
    story.shows("Pro 29.00", "29.00", "0.00", "Pro, active to 31 March 2028")
    story.is_billed(at(3, 31, year=2028))
    story.shows("Pro 29.00", "29.00", "0.00", "Pro, active to 30 April 2028")
    return story


@example("Yearly from 29 February")
def yearly_from_29_february():
    story = Story()
    story.checks_out(plan("Year", "290.00", billing_period="yearly"), at(2, 29, year=2028))
    story.shows("Year 290.00", "290.00", "0.00", "Year, active to 28 February 2029")
    story.is_billed(at(2, 28, year=2029))
    story.shows("Year 290.00", "290.00", "0.00", "Year, active to 28 February 2030")
    story.is_billed(at(2, 28, year=2030))
    story.shows("Year 290.00", "290.00", "0.00", "Year, active to 28 February 2031")
    story.is_billed(at(2, 28, year=2031))
    story.shows("Year 290.00", "290.00", "0.00", "Year, active to 29 February 2032")
    return story


@example("A coupon of 100 % for two periods")
def coupon_of_100_percent():
    coupon(kind="percent", percent=Decimal(100), duration="periods", periods=2)
    story = Story()
    story.checks_out(plan("Pro", "29.00"), at(1, 1), add_ons=[hotline()], coupon_code="spring")
    free = "Pro 29.00; Hotline 5.00; Spring −29.00; Spring −5.00"
    story.shows(free, "0.00", "0.00", "Pro, active to 1 February 2026")
    story.is_billed(at(2, 1))
    story.shows(free, "0.00", "0.00", "Pro, active to 1 March 2026")
    story.is_billed(at(3, 1))
    story.shows("Pro 29.00; Hotline 5.00", "34.00", "0.00", "Pro, active to 1 April 2026")
    return story


@example("Yen have no places")
def yen():
    story = Story()
    story.checks_out(plan("Basic", "2900", currency="JPY"), at(1, 1), currency="JPY")
    story.shows("Basic 2900", "2900", "0", "Basic, active to 1 February 2026")
    story.changes("upgrade to Pro", at(1, 10), plan=plan("Pro", "9900", currency="JPY"))
    story.shows(
        "Basic: what is not used of it −2059; Pro for the rest of the period 7025",
        *("4966", "0", "Pro, active to 1 February 2026"),
    )
    story.is_billed(at(2, 1))
    story.shows("Pro 9900", "9900", "0", "Pro, active to 1 March 2026")
    return story


@example("A coupon of an amount over plan and add-on")
def coupon_of_an_amount():
    of = coupon(kind="amount", duration="forever")
    CouponAmount.objects.create(coupon=of, currency="USD", amount=Decimal("10.00"))
    story = Story()
    story.checks_out(plan("Basic", "29.00"), at(1, 1), add_ons=[hotline()], coupon_code="SPRING")
    story.shows(
        "Basic 29.00; Hotline 5.00; Spring −8.53; Spring −1.47",
        *("24.00", "0.00", "Basic, active to 1 February 2026"),
    )
    story.changes("upgrade to Pro", at(1, 10), plan=plan("Pro", "99.00"))
    story.shows(
        "Basic: what is not used of it −14.53; Pro for the rest of the period 63.50",
        *("48.97", "0.00", "Pro, active to 1 February 2026"),
    )
    story.is_billed(at(2, 1))
    story.shows(
        "Pro 99.00; Hotline 5.00; Spring −9.52; Spring −0.48",
        *("94.00", "0.00", "Pro, active to 1 March 2026"),
    )
    return story


@example("Paid late, within the grace time")
def late_within_grace():
    story = Story(behaviour=Behaviour.NEVER_PAYS)
    story.checks_out(plan("Pro", "29.00"), at(1, 31))
    story.shows("Pro 29.00", "29.00", "0.00", "Pro, active to 28 February 2026")
    story.is_billed(at(2, 28), "renewal, first try")
    story.shows("Pro 29.00", "29.00", "0.00", "Pro, past due; access to 7 March 2026")
    story.is_billed(at(3, 1), "second try")
    story.shows("–", "–", "0.00", "Pro, past due; access to 7 March 2026")
    story.transfers(at(3, 2))
    story.shows("–", "–", "0.00", "Pro, active to 31 March 2026")
    return story


@example("Paid late, after the grace time")
def late_after_grace():
    story = Story(behaviour=Behaviour.NEVER_PAYS)
    story.checks_out(plan("Pro", "29.00"), at(1, 31))
    story.shows("Pro 29.00", "29.00", "0.00", "Pro, active to 28 February 2026")
    past_due = "Pro, past due; access to 7 March 2026"
    story.is_billed(at(2, 28), "renewal, first try")
    story.shows("Pro 29.00", "29.00", "0.00", past_due)
    for on, what in ((1, "second try"), (3, "third try"), (5, "fourth try")):
        story.is_billed(at(3, on), what)
        story.shows("–", "–", "0.00", past_due)
    story.is_billed(at(3, 7), "fifth and last try")
    story.shows("–", "–", "0.00", "Pro, expired since 28 February 2026")
    story.transfers(at(3, 20))
    story.shows("–", "–", "0.00", "Pro, active to 20 April 2026")
    story.is_billed(at(4, 20), "renewal, first try")
    story.shows("Pro 29.00", "29.00", "0.00", "Pro, past due; access to 27 April 2026")
    return story


@example("A setup fee after a trial")
def setup_fee_after_trial():
    story = Story()
    story.checks_out(plan("Pro", ("29.00", "10.00"), trial_days=14), at(3, 1))
    story.shows("Pro (14 days of trial) 0.00", "0.00", "0.00", "Pro, trialing to 15 March 2026")
    story.is_billed(at(3, 15))
    story.shows("Pro 29.00; Setup of Pro 10.00", "39.00", "0.00", "Pro, active to 15 April 2026")
    story.is_billed(at(4, 15))
    story.shows("Pro 29.00", "29.00", "0.00", "Pro, active to 15 May 2026")
    return story


def tables():
    """Of each heading under "Worked examples", the rows of its table, the columns' names first."""
    text = RULES.read_text()
    section = text.split("\n## Worked examples\n")[1].split("\n## ")[0]
    found = {}
    for part in section.split("\n### ")[1:]:
        title, rest = part.split("\n", 1)
        rows = re.findall(r"^\| (.+) \|$", rest, flags=re.MULTILINE)
        found[title] = [tuple(row.split(" | ")) for row in rows]
    return found


@pytest.mark.django_db
class TestWorkedExamples:
    @pytest.mark.parametrize("title", EXAMPLES)
    def test_is_in_the_document_as_it_is_played(self, title):
        story = EXAMPLES[title]()

        assert tables()[title] == [COLUMNS, *story.rows]
        assert [result.name for result in books.verify() if result.violations] == []

    def test_each_of_the_document_is_played(self):
        assert list(tables()) == list(EXAMPLES)
