import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.core import mail as django_mail
from django.db import connection, transaction

from accounts.models import BillingDetails
from billing.models import Event, Invoice, Mail, TestClock
from billing.services import documents, outbox
from billing.services.documents import press as presses
from billing.services.documents.press import press
from billing.services.outbox import MailNotParked, Sent
from tests.billing import mail_server
from tests.billing.purchases import check_out, pay
from tests.factories import PlanFactory, StaffFactory, UserFactory
from tests.threads import at_once, overtaken

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NUMBER = "INV-20260301-01-000001"
CANCELLED = {"plan": "Pro", "ends_at": "2026-03-31T12:00:00+00:00", "is_over": False}

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada(db):
    user = UserFactory(email="ada@example.com")
    BillingDetails.objects.create(user=user, first_name="Ada")
    return user


@pytest.fixture
def server(settings):
    with mail_server.serving() as server:
        settings.EMAIL_BACKEND = "config.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
        settings.EMAIL_TIMEOUT = 0.3
        yield server


def put(user, *, reference="one", context=CANCELLED, now=NOON):
    outbox.put(kind="cancelled", user=user, reference=reference, context=context, now=now)
    return Mail.objects.get(reference=reference)


def send(now=NOON, limit=100, **options):
    return outbox.send_due(now=now, limit=limit, **options)


class TestPut:
    def test_waits_in_the_language_of_the_customer(self):
        user = UserFactory(email="jürgen@example.com", language="de")

        mail = put(user)

        assert (mail.user, mail.to, mail.language) == (user, "jürgen@example.com", "de")
        assert (mail.kind, mail.status, mail.attempts) == ("cancelled", "waiting", 0)
        assert (mail.created_at, mail.next_attempt_at, mail.sent_at) == (NOON, NOON, None)
        assert mail.context == CANCELLED
        assert django_mail.outbox == []

    def test_the_same_again_is_the_same_mail(self, ada):
        first = put(ada)

        again = put(ada, context={"plan": "Other"}, now=NOON + timedelta(days=1))

        assert again == first
        assert Mail.objects.get().context == CANCELLED

    def test_another_reference_is_another_mail(self, ada):
        put(ada, reference="one")
        put(ada, reference="two")

        assert Mail.objects.count() == 2

    def test_is_undone_with_what_it_tells_of(self, ada):
        with transaction.atomic():
            put(ada)
            transaction.set_rollback(True)

        assert not Mail.objects.exists()

    @pytest.mark.parametrize("count", [1, 50])
    def test_of_many_is_one_statement(self, ada, django_assert_num_queries, count):
        drafts = [outbox.Draft("cancelled", ada, str(n), CANCELLED) for n in range(count)]

        with django_assert_num_queries(1), transaction.atomic(durable=False, savepoint=False):
            outbox.put_all(drafts=drafts, now=NOON)

        assert Mail.objects.count() == count

    @pytest.mark.django_db(transaction=True)
    def test_of_four_at_once_there_is_one(self, ada):
        at_once(4, lambda n: put(ada))

        assert Mail.objects.count() == 1


class TestSendDue:
    def test_sends_text_and_html(self, ada):
        put(ada)

        assert send() == Sent(sent=1)

        [sent] = django_mail.outbox
        assert sent.to == ["ada@example.com"]
        assert sent.reply_to == ["billing@example.com"]
        assert sent.subject == "Your subscription to Pro is cancelled"
        assert sent.body.startswith("Hello Ada,\n\nyour subscription to Pro is cancelled.")
        [page] = sent.alternatives
        assert page.mimetype == "text/html"
        assert "<p>Hello Ada,</p>" in page.content
        assert sent.attachments == []

    def test_keeps_when_it_was_sent(self, ada):
        mail = put(ada)

        send()

        mail.refresh_from_db()
        assert (mail.status, mail.attempts, mail.failure) == ("sent", 1, "")
        assert NOON <= mail.sent_at < NOON + timedelta(seconds=30)
        assert mail.next_attempt_at is None

    def test_sends_none_twice(self, ada):
        put(ada)
        send()

        assert send(now=NOON + timedelta(days=30)) == Sent()
        assert len(django_mail.outbox) == 1

    def test_leaves_what_is_not_due(self, ada):
        put(ada, now=NOON)

        assert send(now=NOON - timedelta(seconds=1)) == Sent()
        assert django_mail.outbox == []

    def test_sends_at_most_so_many_the_longest_due_first(self, ada):
        put(ada, reference="late", context=CANCELLED | {"plan": "Late"}, now=NOON)
        put(ada, reference="b", context=CANCELLED | {"plan": "B"}, now=NOON - timedelta(hours=1))
        put(ada, reference="a", context=CANCELLED | {"plan": "A"}, now=NOON - timedelta(hours=2))

        assert send(limit=2) == Sent(sent=2)

        assert [sent.subject for sent in django_mail.outbox] == [
            "Your subscription to A is cancelled",
            "Your subscription to B is cancelled",
        ]

    def test_asks_as_often_for_each(self, ada, django_assert_num_queries):
        for n in range(20):
            put(ada, reference=str(n))

        # What was lost; then for each: BEGIN, claim, note, COMMIT, its customer and their name,
        # BEGIN, note, COMMIT. Transactions are savepoints in a test.
        with django_assert_num_queries(1 + 9):
            send(limit=1)
        with django_assert_num_queries(1 + 9 * 10):
            send(limit=10)

    def test_goes_by_one_connection(self, ada, server):
        for n in range(5):
            put(ada, reference=str(n))

        assert send() == Sent(sent=5)
        assert (len(server.taken), server.connections) == (5, 1)

    def test_a_receipt_has_the_invoice_as_it_stands_then(self, ada):
        invoice = check_out(ada, plan=PlanFactory(), now=NOON).invoice
        pay(invoice, now=NOON)

        assert send() == Sent(sent=1)

        [sent] = django_mail.outbox
        assert sent.subject == f"Your receipt: invoice {NUMBER} from Example Ltd"
        [attached] = sent.attachments
        assert (attached.filename, attached.mimetype) == (f"{NUMBER}.pdf", "application/pdf")
        assert attached.content == documents.render(invoice=Invoice.objects.get())

    def test_leaves_those_with_a_clock_of_their_own(self, ada):
        TestClock.objects.create(user=ada, now_at=NOON)
        put(ada)
        put(UserFactory(), reference="other")

        assert send(now=NOON + timedelta(days=365)) == Sent(sent=1)
        assert Mail.objects.get(status="waiting").user == ada

    def test_of_one_customer_sends_theirs_alone(self, ada):
        TestClock.objects.create(user=ada, now_at=NOON)
        put(ada)
        put(UserFactory(), reference="other")

        assert send(user=ada) == Sent(sent=1)
        assert Mail.objects.get(status="sent").user == ada

    def test_is_not_for_the_inside_of_a_transaction(self, ada, transactional_db):
        put(ada)

        with pytest.raises(RuntimeError), transaction.atomic():
            send()

        assert Mail.objects.get().status == "waiting"
        assert django_mail.outbox == []


WAITS = [timedelta(minutes=1), timedelta(minutes=10), timedelta(hours=1), timedelta(hours=6)]


class TestAServerThatDoesNotTakeIt:
    @pytest.mark.parametrize(
        ("behaviour", "failure"),
        [
            (mail_server.REFUSES, "the mail server did not take it"),
            (mail_server.REFUSES_THE_READER, "the mail server did not take it"),
            (mail_server.HANGS_UP_EARLY, "the mail server did not take it"),
            (mail_server.SAYS_NO_HELLO, "the mail server could not be reached"),
        ],
    )
    def test_is_asked_again_later_and_later_and_then_no_more(self, ada, server, behaviour, failure):
        server.behaviour = behaviour
        mail = put(ada)
        now = NOON
        for attempt, wait in enumerate(WAITS, start=1):
            assert send(now=now) == Sent(failed=1)
            mail.refresh_from_db()
            assert (mail.status, mail.attempts, mail.failure) == ("waiting", attempt, failure)
            assert now + wait <= mail.next_attempt_at < now + wait + timedelta(seconds=30)
            assert send(now=now + wait - timedelta(seconds=1)) == Sent()
            now = mail.next_attempt_at

        assert send(now=now) == Sent(parked=1)

        mail.refresh_from_db()
        assert (mail.status, mail.attempts, mail.failure) == ("parked", 5, failure)
        assert mail.next_attempt_at is None
        assert send(now=now + timedelta(days=30)) == Sent()

    def test_that_takes_it_later_gets_it_once(self, ada, server):
        server.behaviour = mail_server.REFUSES_THE_READER
        put(ada)
        send()

        server.behaviour = mail_server.TAKES
        assert send(now=NOON + timedelta(minutes=2)) == Sent(sent=1)

        mail = Mail.objects.get()
        assert (mail.status, mail.attempts, mail.failure) == ("sent", 2, "")
        assert server.subjects == ["Your subscription to Pro is cancelled"]

    def test_does_not_hold_up_the_others(self, ada, server):
        put(UserFactory(email="nobody"), reference="a", now=NOON - timedelta(hours=1))
        put(ada, reference="b")

        assert send() == Sent(sent=1, failed=1)

        assert Mail.objects.get(reference="a").failure == "this is not an e-mail address"
        assert server.taken[0]["To"] == "ada@example.com"

    def test_that_cannot_be_reached_is_not_asked_for_the_others(self, ada, server):
        server.behaviour = mail_server.SAYS_NO_HELLO
        for n in range(3):
            put(ada, reference=str(n))

        assert send() == Sent(failed=1)

        assert sorted(Mail.objects.values_list("attempts", flat=True)) == [0, 0, 1]

    @pytest.mark.parametrize("behaviour", [mail_server.HANGS_UP, mail_server.SAYS_NOTHING])
    def test_that_read_it_and_did_not_answer_is_for_a_person(self, ada, server, behaviour):
        server.behaviour = behaviour
        put(ada)

        assert send() == Sent(parked=1)

        mail = Mail.objects.get()
        assert (mail.status, mail.attempts) == ("parked", 1)
        assert mail.failure == "nobody knows whether it was sent: the mail server did not say"
        server.behaviour = mail_server.TAKES
        assert send(now=NOON + timedelta(days=1)) == Sent()
        assert len(server.taken) == 1

    def test_after_one_is_reached_again_for_the_next(self, ada, server):
        def hang_up_on_the_first(message):
            first = len(server.taken) == 1
            server.behaviour = mail_server.HANGS_UP if first else mail_server.TAKES

        server.on_mail = hang_up_on_the_first
        for n in range(3):
            put(ada, reference=str(n))

        assert send() == Sent(sent=2, parked=1)
        assert (len(server.taken), server.connections) == (3, 2)


class TestAMailThatCannotBeWritten:
    def test_is_tried_again_and_does_not_hold_up_the_others(self, ada):
        put(ada, reference="a", context={"ends_at": "some day"}, now=NOON - timedelta(hours=1))
        put(ada, reference="b")

        assert send() == Sent(sent=1, failed=1)

        broken = Mail.objects.get(reference="a")
        assert (broken.status, broken.attempts) == ("waiting", 1)
        assert broken.failure == "ends_at is nothing that can be shown."

    @pytest.mark.parametrize("named", [{}, {"invoice_id": "x"}, {"invoice_id": str(uuid.uuid4())}])
    def test_a_receipt_of_no_invoice(self, ada, named):
        total = {"amount": "29.00", "currency": "USD"}
        context = {"number": NUMBER, "total": total, "paid_at": NOON.isoformat(), **named}
        outbox.put(kind="receipt", user=ada, reference="x", context=context, now=NOON)

        assert send() == Sent(failed=1)

        assert Mail.objects.get().failure == "The receipt names no invoice."

    def test_a_receipt_without_a_pdf(self, ada, monkeypatch, tmp_path):
        pay(check_out(ada, plan=PlanFactory(), now=NOON).invoice, now=NOON)
        monkeypatch.setattr(presses, "FOLDER", tmp_path)
        press.forget()

        assert send() == Sent(failed=1)

        assert Mail.objects.get().status == "waiting"
        assert django_mail.outbox == []

    def test_names_make_no_headers(self, ada, server):
        plan = "Pro\r\nBcc: all@example.com\r\n\r\nSend us money"
        BillingDetails.objects.update(first_name="Ada\r\nBcc: all@example.com")
        put(ada, context=CANCELLED | {"plan": plan})

        assert send() == Sent(sent=1)

        [message] = server.taken
        assert message["Bcc"] is None
        assert message["To"] == "ada@example.com"
        assert message["Subject"].startswith("Your subscription to Pro Bcc: all@example.com Send")


class TestLeftInTheMiddle:
    @pytest.fixture
    def left(self, ada):
        mail = put(ada)
        outbox._claim(now=NOON, due=outbox.due(now=NOON))
        mail.refresh_from_db()
        assert mail.status == "sending"
        return mail

    def test_is_left_alone_while_somebody_may_be_at_it(self, left):
        assert send(now=NOON + timedelta(minutes=9, seconds=59)) == Sent()

        left.refresh_from_db()
        assert left.status == "sending"
        assert django_mail.outbox == []

    def test_is_for_a_person_after_ten_minutes(self, left):
        assert send(now=NOON + timedelta(minutes=10)) == Sent(parked=1)

        left.refresh_from_db()
        assert (left.status, left.next_attempt_at) == ("parked", None)
        assert left.failure == "Nobody knows whether it was sent: the sender was interrupted."
        assert django_mail.outbox == []

    def test_that_was_sent_after_all_is_sent(self, left):
        send(now=NOON + timedelta(minutes=10))

        outbox._record(left, outbox.Outcome(), now=NOON + timedelta(minutes=11))

        left.refresh_from_db()
        assert (left.status, left.failure) == ("sent", "")

    def test_whose_next_attempt_is_anothers_is_left_to_that_one(self, left):
        send(now=NOON + timedelta(minutes=10))
        Mail.objects.update(status="sending", attempts=2)

        outbox._record(left, outbox.Outcome("late"), now=NOON + timedelta(minutes=11))

        left.refresh_from_db()
        assert (left.status, left.attempts) == ("sending", 2)


@pytest.mark.concurrency
@pytest.mark.django_db(transaction=True)
class TestTwoSenders:
    def test_send_each_mail_once(self, ada, server):
        for n in range(40):
            put(ada, reference=str(n), context=CANCELLED | {"plan": f"P{n}"})

        done = at_once(4, lambda n: send())

        assert sum(sent.sent for sent in done) == 40
        assert len(server.subjects) == 40
        assert len(set(server.subjects)) == 40

    def test_do_not_wait_for_each_other(self, ada, held_by_another):
        """Without SKIP LOCKED the second one would wait, and fail here."""
        first = put(ada, reference="a", now=NOON - timedelta(hours=1))
        put(ada, reference="b")

        with held_by_another(first):
            assert send() == Sent(sent=1)

        assert Mail.objects.get(status="waiting") == first

    def test_the_intent_is_committed_when_the_server_has_the_mail(self, ada, server):
        seen = []

        def look(message):
            other = connection.copy()
            with other.cursor() as cursor:
                cursor.execute("SELECT status, attempts FROM billing_mail")
                seen.extend(cursor.fetchall())
            other.close()

        server.on_mail = look
        put(ada)

        send()

        assert seen == [("sending", 1)]


class TestRetry:
    @pytest.fixture
    def parked(self, ada):
        mail = put(ada)
        failure = "the mail server did not take it"
        Mail.objects.update(status="parked", attempts=5, failure=failure, next_attempt_at=None)
        mail.refresh_from_db()
        return mail

    def test_sends_it_again(self, parked):
        later = NOON + timedelta(days=1)

        outbox.retry(mail=parked, by=StaffFactory(), now=later)

        assert send(now=later) == Sent(sent=1)
        parked.refresh_from_db()
        assert (parked.status, parked.attempts, parked.failure) == ("sent", 6, "")

    def test_tells_who_and_why(self, parked):
        by = StaffFactory()

        outbox.retry(mail=parked, by=by, reason="The server is back.", now=NOON)

        event = Event.objects.get(name="mail.retried")
        assert (event.user_id, event.subject_id) == (parked.user_id, parked.pk)
        assert event.created_at == NOON
        assert event.payload == {
            "kind": "cancelled",
            "to": "ada@example.com",
            "after": "the mail server did not take it",
            "by": str(by.pk),
            "reason": "The server is back.",
        }

    def test_that_fails_again_is_parked_again(self, parked, server):
        server.behaviour = mail_server.REFUSES
        outbox.retry(mail=parked, by=StaffFactory(), now=NOON)

        assert send() == Sent(parked=1)

    @pytest.mark.parametrize("status", ["waiting", "sending", "sent"])
    def test_is_for_parked_ones(self, parked, status):
        sent_at = NOON if status == "sent" else None
        Mail.objects.update(status=status, sent_at=sent_at, next_attempt_at=NOON)

        with pytest.raises(MailNotParked) as refused:
            outbox.retry(mail=parked, by=StaffFactory(), now=NOON + timedelta(days=1))

        assert refused.value.code == "mail_not_parked"
        parked.refresh_from_db()
        assert (parked.status, parked.next_attempt_at) == (status, NOON)
        assert not Event.objects.filter(name="mail.retried").exists()

    @pytest.mark.django_db(transaction=True)
    def test_of_two_at_once_the_second_is_told(self, parked):
        by = StaffFactory()

        def retry():
            return outbox.retry(mail=parked, by=by, now=NOON)

        with pytest.raises(MailNotParked):
            overtaken(retry, by=retry)

        assert Event.objects.filter(name="mail.retried").count() == 1


class TestRow:
    def test_is_not_sent_without_a_moment(self, ada):
        mail = put(ada)

        with pytest.raises(Exception, match="mail_sent_has_moment"), transaction.atomic():
            Mail.objects.filter(pk=mail.pk).update(status="sent")

    def test_does_not_wait_without_a_moment(self, ada):
        mail = put(ada)

        with pytest.raises(Exception, match="mail_waiting_has_moment"), transaction.atomic():
            Mail.objects.filter(pk=mail.pk).update(next_attempt_at=None)
