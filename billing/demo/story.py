"""Half a year of customers: who did what when, always the same for the same day."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from billing.demo import catalogue, people
from billing.demo.people import NAMED, Person
from billing.demo.steps import (
    Buy,
    Cancel,
    Change,
    LetCardExpire,
    LetTimeBeOne,
    Pay,
    RunBilling,
    SignUp,
    Spend,
    Step,
    dollars,
)
from billing.services.selection import Order

DAYS = 180
DAYS_OF_CATALOGUE = timedelta(days=DAYS + 20)
CUSTOMERS = 58  # beside the two that have a name
_SEED = "vbwd"
_USES = ("Report", "Translation", "Image", "Summary", "Import")


def steps(*, started_at: datetime) -> list[Step]:
    """Everything that happened before ``started_at``, in order."""
    everybody = people.customers(count=CUSTOMERS, chance=random.Random(_SEED))
    told: list[Step] = []
    for person in everybody:
        told += Life(person, started_at).tell()
    told += _late_payer(started_at)
    told += _open_checkouts(told, started_at)
    told += _strays(sorted(told, key=_moment), started_at)
    told += [RunBilling(started_at - timedelta(days=day, hours=1)) for day in range(DAYS)]
    lived = sorted((step for step in told if step.moment < started_at), key=_moment)
    return [*lived, LetTimeBeOne(started_at - timedelta(seconds=1))]


def _moment(step: Step) -> datetime:
    return step.moment


@dataclass
class Life:
    """What one customer did, by chance, but by the same chance each time."""

    person: Person
    started_at: datetime

    def __post_init__(self) -> None:
        self.chance = random.Random(f"{_SEED} {self.person.email}")
        self.is_loyal = self.person in NAMED
        self.bought = 0

    def tell(self) -> Iterator[Step]:
        ago = DAYS - 10 if self.is_loyal else self.chance.uniform(1, DAYS)
        moment = self.started_at - timedelta(days=ago)
        yield SignUp(moment, self.person)
        moment += self._between(minutes=(3, 90))
        plan = self._plan()
        if not self.is_loyal and self.chance.random() < 0.2:
            yield from self._abandon(moment, plan)
            if self.chance.random() < 0.4:
                return
            moment += self._between(days=(2, 6))
        moment = yield from self._subscribe(moment, plan)
        while moment < self.started_at:
            yield from self._use(moment)
            if plan == catalogue.ENTERPRISE:
                return
            if not self.is_loyal and self.chance.random() < 0.14:
                yield from self._leave(moment)
                return
            if plan == catalogue.STARTER and self._can_upgrade() and self.chance.random() < 0.2:
                plan = catalogue.PRO
                yield from self._upgrade(moment + self._between(days=(8, 20)), plan)
            moment += timedelta(days=30)

    def _plan(self) -> UUID:
        if self.person.currency == "JPY":
            return catalogue.STARTER  # the only one with a price in yen
        if self.is_loyal:
            return catalogue.PRO if self.person.currency == "EUR" else catalogue.STARTER
        plans = [catalogue.STARTER, catalogue.PRO, catalogue.ENTERPRISE]
        return self.chance.choices(plans, [50, 40, 10])[0]

    def _can_upgrade(self) -> bool:
        return self.person.currency != "JPY"

    def _abandon(self, moment: datetime, plan: UUID) -> Iterator[Step]:
        """A checkout that is never paid; half of them are given up."""
        buy = self._buy(moment, plan_id=plan)
        yield buy
        if self.chance.random() < 0.5:
            yield Cancel(moment + self._between(minutes=(60, 1400)), buy.name)

    def _leave(self, paid_at: datetime) -> Iterator[Step]:
        """Half of those who leave cancel; the cards of the others are refused from then on."""
        moment = paid_at + self._between(days=(5, 24))
        if self.chance.random() < 0.5:
            yield Cancel(moment, self._name(self.subscribed))
        else:
            yield LetCardExpire(moment, self.person.email)

    def _upgrade(self, moment: datetime, plan: UUID) -> Iterator[Step]:
        """Prorated, and paid by card a little later."""
        name = f"{self._name(self.subscribed)}-change"
        yield Change(moment, self._name(self.subscribed), plan, name)
        yield self._pay_by_card(moment, name)

    def _subscribe(self, moment: datetime, plan: UUID) -> Iterator[Step]:
        add_ons = []
        if self.chance.random() < 0.25:
            add_ons.append(catalogue.SUPPORT)
        if plan == catalogue.ENTERPRISE and self.chance.random() < 0.7:
            add_ons.append(catalogue.SIGN_ON)
        code = catalogue.WELCOME if self.chance.random() < 0.15 else None
        buy = self._buy(moment, plan_id=plan, add_on_ids=tuple(add_ons), coupon_code=code)
        self.subscribed = self.bought
        yield buy
        pay = self._pay(buy)
        yield pay
        return pay.moment

    def _use(self, paid_at: datetime) -> Iterator[Step]:
        """Perhaps an add-on in between, perhaps tokens, and what becomes of them."""
        if self._can_upgrade() and self.chance.random() < 0.15:
            buy = self._buy(paid_at + self._between(days=(2, 6)), add_on_ids=(catalogue.SEATS,))
            yield buy
            yield self._pay(buy, is_card=True)
        if self.is_loyal or self.chance.random() < 0.4:
            yield from self._top_up(paid_at + self._between(minutes=(5, 9000)))

    def _top_up(self, moment: datetime) -> Iterator[Step]:
        bundles = [catalogue.SMALL, catalogue.MEDIUM]
        bundle = self.chance.choices(bundles, [70, 30])[0]
        buy = self._buy(moment, token_bundle_ids=(bundle,))
        yield buy
        pay = self._pay(buy, is_card=True)
        yield pay
        moment = pay.moment
        for number in range(self.chance.randint(1, 4)):
            moment += self._between(minutes=(30, 6000))
            yield Spend(
                moment,
                self.person.email,
                reference=f"{buy.name}-use-{number}",
                amount=self.chance.randint(1, catalogue.TOKENS[bundle] // 5),
                description=self.chance.choice(_USES),
            )

    def _buy(
        self,
        moment: datetime,
        *,
        plan_id: UUID | None = None,
        token_bundle_ids: tuple[UUID, ...] = (),
        add_on_ids: tuple[UUID, ...] = (),
        coupon_code: str | None = None,
    ) -> Buy:
        self.bought += 1
        order = Order(
            plan_id, token_bundle_ids, add_on_ids, self.person.currency, coupon_code=coupon_code
        )
        return Buy(moment, self.person.email, self._name(self.bought), order)

    def _pay(self, buy: Buy, *, is_card: bool = False) -> Pay:
        if is_card or self.chance.random() < 0.8:
            return self._pay_by_card(buy.moment, buy.name)
        return Pay(
            buy.moment + self._between(days=(1, 3)),
            reference=f"transfer-{self.chance.getrandbits(40):010x}",
            method="bank_transfer",
            bought=buy.name,
        )

    def _pay_by_card(self, moment: datetime, bought: str) -> Pay:
        return Pay(
            moment + self._between(minutes=(1, 6)),
            reference=f"card-{self.chance.getrandbits(40):010x}",
            method="card",
            bought=bought,
        )

    def _name(self, number: int) -> str:
        return f"{self.person.email.split('@')[0]}-{number:02}"

    def _between(
        self, *, days: tuple[int, int] | None = None, minutes: tuple[int, int] | None = None
    ) -> timedelta:
        if days:
            minutes = (days[0] * 1440, days[1] * 1440)
        assert minutes  # noqa: S101 - one of the two is given
        return timedelta(minutes=self.chance.randint(*minutes), seconds=self.chance.randint(0, 59))


def _late_payer(started_at: datetime) -> Iterator[Step]:
    """Whose renewal of three days ago is not paid yet, and is tried again."""
    begun = started_at - timedelta(days=34)
    email = people.MAX.email
    buy = Buy(begun, email, f"{email}-01", Order(catalogue.PRO, (), (), "USD"))
    yield SignUp(begun - timedelta(minutes=20), people.MAX)
    yield buy
    yield Pay(begun + timedelta(minutes=2), reference="card-max-01", method="card", bought=buy.name)
    yield LetCardExpire(started_at - timedelta(days=12), email)


def _open_checkouts(told: list[Step], started_at: datetime) -> list[Step]:
    """Orders of the last weeks that nobody has paid yet, one in each currency and one more."""
    began = started_at - timedelta(days=40)
    signed_up = [step for step in told if isinstance(step, SignUp) and step.moment < began]
    opened: list[Step] = []
    for currency, days, bundle in (
        ("JPY", 24, catalogue.SMALL),
        ("EUR", 17, catalogue.MEDIUM),
        ("USD", 11, catalogue.MEDIUM),
    ):
        own = [step.person for step in signed_up if step.person.currency == currency]
        email = own[-1].email
        order = Order(None, (bundle,), (), currency)
        opened.append(Buy(started_at - timedelta(days=days), email, f"{email}-open", order))
    return opened


def _strays(told: list[Step], started_at: datetime) -> Iterator[Step]:
    """Payments that fit nothing, each for another reason."""
    recently = started_at - timedelta(days=9)
    paid = {step.bought for step in told if isinstance(step, Pay)}
    cancelled = {step.bought for step in told if isinstance(step, Cancel)}
    bought = [step for step in told if isinstance(step, Buy) and step.moment < recently]
    dollar = [step.name for step in bought if step.order.currency == "USD"]
    open_ones = [name for name in dollar if name not in paid | cancelled]
    given_up = [name for name in dollar if name in cancelled - paid]

    def stray(days: float, reference: str, **rest: object) -> Pay:
        moment = recently + timedelta(days=days)
        return Pay(moment, reference=reference, method="bank_transfer", **rest)  # type: ignore[arg-type]

    # Who gave an order up has ordered the same again; the money of the first comes in then.
    first = next(step for step in bought if step.name == given_up[-1])
    yield Buy(recently + timedelta(days=2), first.email, f"{first.name}-again", first.order)
    yield stray(1.2, "transfer-wrong-amount", bought=open_ones[-1], money=dollars("10.00"))
    yield stray(2.7, "transfer-too-late", bought=given_up[-1])
    yield stray(
        4.1, "transfer-twice", bought=next(name for name in reversed(dollar) if name in paid)
    )
    yield stray(
        6.3,
        "transfer-no-invoice",
        invoice_reference="the invoice of last month",
        money=dollars("29.00"),
    )
