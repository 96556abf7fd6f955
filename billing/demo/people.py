"""Who is in the demo: staff, one for each role, and customers."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import datetime

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group

from accounts.models import BillingDetails, User

DOMAIN = "demo.example"
PASSWORD = "look around"  # noqa: S105 - printed by load_demo, which runs in development only
ADMIN = f"admin@{DOMAIN}"
ROLES = {
    f"catalogue@{DOMAIN}": "Catalogue",
    f"finance@{DOMAIN}": "Finance",
    f"support@{DOMAIN}": "Support",
}


class RoleMissing(Exception):
    """A group that the migrations make is not there."""


@dataclass(frozen=True, slots=True)
class Person:
    """A customer: where they live decides what they pay in."""

    email: str
    currency: str
    details: dict[str, str] = field(default_factory=dict)


ANNA = Person(
    f"anna.schmidt@{DOMAIN}",
    "EUR",
    {
        "first_name": "Anna",
        "last_name": "Schmidt",
        "company": "Schmidt Druck GmbH",
        "vat_id": "DE136695976",
        "phone": "+49 30 901820",
        "address_line_1": "Lindenstraße 12",
        "postal_code": "10969",
        "city": "Berlin",
        "country": "DE",
    },
)
CAROL = Person(
    f"carol.jones@{DOMAIN}",
    "USD",
    {
        "first_name": "Carol",
        "last_name": "Jones",
        "address_line_1": "214 Maple Avenue",
        "address_line_2": "Apt. 5",
        "postal_code": "05401",
        "city": "Burlington",
        "country": "US",
    },
)
NAMED = (ANNA, CAROL)
# Whose card has expired.
MAX = Person(f"max.weber@{DOMAIN}", "USD", {"first_name": "Max", "last_name": "Weber"})

_FIRST = ("Maria", "John", "Yuki", "Pierre", "Elena", "Omar", "Greta", "Paulo", "Ingrid", "Tom")
_LAST = ("Rossi", "Miller", "Tanaka", "Dubois", "Petrova", "Haddad", "Lindqvist", "Costa", "Berg")
_CITIES = {
    "USD": [("Portland", "97201", "US"), ("Austin", "73301", "US"), ("Toronto", "M5H 2N2", "CA")],
    "EUR": [("Lyon", "69001", "FR"), ("Turin", "10121", "IT"), ("Ghent", "9000", "BE")],
    "JPY": [("Osaka", "530-0001", "JP"), ("Sendai", "980-0811", "JP")],
}


def customers(*, count: int, chance: random.Random) -> list[Person]:
    """The two that have a name in the documentation, and ``count`` others."""
    names = [(first, last) for first in _FIRST for last in _LAST]
    return [*NAMED, *(_customer(*name, chance) for name in chance.sample(names, count))]


def _customer(first: str, last: str, chance: random.Random) -> Person:
    currency = chance.choices(["USD", "EUR", "JPY"], [60, 30, 10])[0]
    details = {}
    if chance.random() < 0.5:
        city, postal_code, country = chance.choice(_CITIES[currency])
        details = {
            "first_name": first,
            "last_name": last,
            "address_line_1": f"{chance.randint(1, 99)} Station Road",
            "postal_code": postal_code,
            "city": city,
            "country": country,
        }
    return Person(f"{first}.{last}@{DOMAIN}".lower(), currency, details)


def hire(*, now: datetime) -> User:
    """
    Make the staff; returns the superuser.

    :raises RoleMissing: if one of the groups is not there
    """
    groups = {group.name: group for group in Group.objects.filter(name__in=ROLES.values())}
    password = make_password(PASSWORD)
    for email, role in ROLES.items():
        if role not in groups:
            raise RoleMissing(role)
        member = User.objects.create(email=email, password=password, is_staff=True, created_at=now)
        member.groups.add(groups[role])
    return User.objects.create(
        email=ADMIN, password=password, is_staff=True, is_superuser=True, created_at=now
    )


def sign_up(*, person: Person, password: str, now: datetime) -> User:
    """Make the customer's account, as it was made ``now``; theirs if it is there already."""
    user, is_new = User.objects.get_or_create(
        email=person.email, defaults={"password": password, "created_at": now}
    )
    if is_new and person.details:
        BillingDetails.objects.create(user=user, **person.details)
    return user
