"""A sender that dies leaves each mail sent once, or not, or to a person; never to be sent twice."""

import os
import signal
from datetime import timedelta
from itertools import count

import pytest

from billing.models import Mail
from billing.services import outbox
from billing.services.outbox import Sent
from tests.billing import mail_server
from tests.concurrency import crashes
from tests.concurrency.moments import NOON
from tests.concurrency.server import COMMIT
from tests.factories import UserFactory

pytestmark = [pytest.mark.concurrency, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def server(settings):
    with mail_server.serving() as server:
        settings.EMAIL_BACKEND = "config.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
        yield server


def put(reference="one"):
    user = UserFactory()
    context = {"plan": reference, "ends_at": NOON.isoformat(), "is_over": False}
    outbox.put(kind="cancelled", user=user, reference=reference, context=context, now=NOON)
    return Mail.objects.get(reference=reference)


class TestKilledSender:
    def test_while_the_server_has_the_mail_leaves_it_to_a_person(self, server):
        mail = put()

        def kill_the_sender(message):
            # The last line of every mail is the seller: the sender's own number, in this test.
            text = message.get_body(("plain",)).get_content()
            os.kill(int(text.split()[-1]), signal.SIGKILL)

        server.on_mail = kill_the_sender

        crashes.kill_sender(port=server.port)

        mail.refresh_from_db()
        assert (mail.status, mail.attempts) == ("sending", 1)
        assert len(server.taken) == 1
        server.on_mail = lambda message: None
        assert outbox.send_due(now=NOON + timedelta(minutes=5), limit=10) == Sent()
        assert outbox.send_due(now=NOON + timedelta(minutes=11), limit=10) == Sent(parked=1)
        assert outbox.send_due(now=NOON + timedelta(days=30), limit=10) == Sent()
        mail.refresh_from_db()
        assert mail.status == "parked"
        assert mail.failure == "Nobody knows whether it was sent: the sender was interrupted."
        assert len(server.taken) == 1

    def test_before_any_step_leads_to_no_second_mail(self, server):
        """It writes nothing, or the intent, or the outcome; only the first is sent again."""
        steps, outcomes = [], []
        for number in count(1):
            mail = put(f"mail {number}")
            server.taken.clear()

            step = crashes.kill_sender(port=server.port, before=number)

            if step is None:
                break
            steps.append(step)
            mail.refresh_from_db()
            left = mail.status
            # After the first commit nobody but a person sends it again.
            assert left == ["waiting", "sending", "sent"][steps[:-1].count(COMMIT)], step
            outbox.send_due(now=NOON, limit=10)
            outbox.send_due(now=NOON + timedelta(minutes=11), limit=10)
            mail.refresh_from_db()
            assert mail.status == ("parked" if left == "sending" else "sent"), step
            assert len(server.taken) <= 1, step
            assert mail.status == "parked" or len(server.taken) == 1, step
            outcomes.append((left, len(server.taken)))

        assert steps.count(COMMIT) == 3  # the intent, the outcome, and that there is no more
        # Killed before it was handed over, and after.
        assert {("waiting", 1), ("sending", 0), ("sending", 1)} <= set(outcomes)
