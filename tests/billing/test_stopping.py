"""The commands that run for long, as processes that are told to end."""

import os
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from django.db import connection
from django.utils import timezone

from billing.management import stopping
from billing.models import Invoice, Mail, Payment, PaymentAttempt
from billing.services import outbox
from billing.services.renewals import running
from tests.billing import mail_server
from tests.factories import PlanFactory, UserFactory
from tests.loading import load_subscribers

PROJECT = Path(__file__).resolve().parent.parent.parent
PATIENCE = 60  # seconds until a test gives up: a process has to start first
# With which mails go to a server.
PRODUCTION = {
    "DJANGO_SETTINGS_MODULE": "config.settings.production",
    "SECRET_KEY": "only-for-this-test-0123456789-abcdefghijklmnopqrstuvwxyz",
    "ALLOWED_HOSTS": "billing.example.com",
}


def database_url():
    """By which another process reaches the database of the tests."""
    place = connection.settings_dict
    who = ":".join(quote(place[key], safe="") for key in ("USER", "PASSWORD") if place.get(key))
    where = urlencode({"host": place["HOST"], "port": place["PORT"]}, quote_via=quote, safe="")
    return f"postgresql://{who}@/{place['NAME']}?{where}"


@pytest.fixture
def start():
    """``start("run_billing", "--every", "60")``: a process of its own."""
    started = []

    def start(command, *options, **environment):
        process = subprocess.Popen(
            [sys.executable, "-u", "manage.py", command, *options],
            cwd=PROJECT,
            env=os.environ
            | {
                "DJANGO_SETTINGS_MODULE": "config.settings.development",
                "ENV_FILE": os.devnull,
                "DATABASE_URL": database_url(),
            }
            | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()  # nothing, where it has ended
        process.communicate()


def wait_for(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "It takes too long."
        time.sleep(0.01)


@pytest.mark.django_db(transaction=True)
class TestRunBilling:
    MANY = 1000

    def test_ends_between_two_batches_and_the_next_run_goes_on(self, start):
        due = load_subscribers(
            customers=self.MANY, plan=PlanFactory(), begun=timezone.now() - timedelta(days=40)
        )
        renewals = Invoice.objects.filter(reason="renewal")

        process = start("run_billing", "--batch", "5")
        wait_for(renewals.exists)
        process.send_signal(signal.SIGTERM)
        said, complaints = process.communicate(timeout=PATIENCE)

        assert process.returncode == 0, complaints
        assert "Stopped between two batches. The next run goes on from here." in said
        assert "Traceback" not in complaints
        done = renewals.count()
        assert 0 < done < self.MANY
        assert f"│ Renewals invoiced │ {done} │" in " ".join(said.split())
        assert not renewals.exclude(status="paid").exists()
        assert not PaymentAttempt.objects.exclude(outcome="paid").exists()
        running.run(now=due)
        assert renewals.filter(status="paid").count() == self.MANY
        assert Payment.objects.filter(invoice__in=renewals).count() == self.MANY

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_ends_at_once_while_it_waits_for_its_next_run(self, start, number):
        process = start("run_billing", "--every", "3600")
        while "Done in" not in (line := process.stdout.readline()):
            assert line, process.stderr.read()

        process.send_signal(number)

        said, complaints = process.communicate(timeout=10)
        assert process.returncode == 0, complaints
        assert "Stopped between two batches." in said
        assert "Traceback" not in complaints


@pytest.mark.django_db(transaction=True)
class TestSendMails:
    def test_ends_after_the_mail_that_it_has_in_hand(self, start):
        now = timezone.now()
        context = {"plan": "Pro", "ends_at": now.isoformat(), "is_over": False}
        for reference in "abc":
            outbox.put(
                kind="cancelled", user=UserFactory(), reference=reference, context=context, now=now
            )
        processes = []
        with mail_server.serving() as server:
            # It is told to end while the server has a mail of it and has not answered yet.
            server.on_mail = lambda _message: processes[0].send_signal(signal.SIGTERM)
            processes.append(
                start(
                    "send_mails",
                    **PRODUCTION,
                    EMAIL_URL=f"smtp://127.0.0.1:{server.port}",
                )
            )
            said, complaints = processes[0].communicate(timeout=PATIENCE)

        assert processes[0].returncode == 0, complaints
        assert "1 sent, 0 to be tried again, 0 parked." in said
        assert "Stopped between two mails. The next run sends the others." in said
        assert len(server.taken) == 1
        statuses = Mail.objects.order_by("status").values_list("status", flat=True)
        assert list(statuses) == ["sent", "waiting", "waiting"]


class TestOnSignals:
    def test_the_first_asks_and_the_second_does_what_it_did_before(self):
        with stopping.on_signals() as stop:
            assert not stop.is_asked_for
            os.kill(os.getpid(), signal.SIGINT)
            assert stop.is_asked_for
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGINT)

    def test_what_was_there_before_is_there_after(self):
        before = signal.getsignal(signal.SIGTERM)

        with stopping.on_signals():
            assert signal.getsignal(signal.SIGTERM) != before

        assert signal.getsignal(signal.SIGTERM) == before

    def test_leaves_signals_alone_in_another_thread(self):
        found = []

        def look():
            with stopping.on_signals() as stop:
                found.append((signal.getsignal(signal.SIGTERM), stop.is_asked_for))

        thread = threading.Thread(target=look)
        thread.start()
        thread.join()

        assert found == [(signal.getsignal(signal.SIGTERM), False)]
