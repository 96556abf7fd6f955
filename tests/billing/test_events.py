import logging
from datetime import UTC, datetime

import pytest
from django.db import InternalError, transaction

from billing.models import Event
from billing.services import events
from tests.factories import UserFactory

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def happening(name: str) -> Event:
    return Event(name=name, payload={"is": "a test"}, created_at=NOON)


@pytest.fixture
def told():
    """The names of the events that a receiver was told of."""
    names = []

    def receive(event, **kwargs):
        names.append(event.name)

    events.happened.connect(receive)
    yield names
    events.happened.disconnect(receive)


@pytest.fixture
def failing_receiver():
    def fail(**kwargs):
        raise RuntimeError("This receiver fails")

    events.happened.connect(fail)
    yield
    events.happened.disconnect(fail)


@pytest.mark.django_db
class TestRecord:
    @pytest.mark.parametrize("count", [1, 7])
    def test_is_one_statement_however_many_there_are(self, django_assert_num_queries, count):
        with django_assert_num_queries(1):
            events.record(*(happening("test.happened") for _ in range(count)))

        assert Event.objects.count() == count

    def test_keeps_whose_it_is_and_what_it_is_about(self):
        user = UserFactory()

        events.record(
            Event(
                name="test.happened",
                user_id=user.id,
                subject_id=user.id,
                payload={"tokens": 500},
                created_at=NOON,
            )
        )

        event = Event.objects.get()
        assert (event.name, event.user_id, event.subject_id) == ("test.happened", user.id, user.id)
        assert event.payload == {"tokens": 500}
        assert event.created_at == NOON

    def test_receivers_are_told_after_the_commit_and_in_order(
        self, told, django_capture_on_commit_callbacks
    ):
        with django_capture_on_commit_callbacks(execute=True):
            events.record(happening("test.first"), happening("test.second"))
            assert told == []

        assert told == ["test.first", "test.second"]

    @pytest.mark.django_db(transaction=True)
    def test_nobody_is_told_of_what_was_rolled_back(self, told):
        with transaction.atomic():
            events.record(happening("test.happened"))
            transaction.set_rollback(True)

        assert told == []
        assert not Event.objects.exists()

    @pytest.mark.django_db(transaction=True)
    def test_a_receiver_that_fails_is_logged_and_breaks_nothing(
        self, failing_receiver, told, caplog
    ):
        with caplog.at_level(logging.ERROR):
            events.record(happening("test.happened"))

        assert told == ["test.happened"]
        assert Event.objects.count() == 1
        assert "This receiver fails" in caplog.text

    @pytest.mark.parametrize("change", [{"name": "test.other"}, {"payload": {}}])
    def test_what_happened_is_never_changed(self, change):
        events.record(happening("test.happened"))

        with pytest.raises(InternalError, match="event_is_kept"), transaction.atomic():
            Event.objects.update(**change)

    def test_what_happened_is_never_deleted(self):
        events.record(happening("test.happened"))

        with pytest.raises(InternalError, match="event_is_kept"), transaction.atomic():
            Event.objects.all().delete()
