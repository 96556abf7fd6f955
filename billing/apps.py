from django.apps import AppConfig


class BillingConfig(AppConfig):
    name = "billing"

    def ready(self) -> None:
        from billing import checks  # noqa: F401 - registers them
        from billing.metrics import count_event
        from billing.services.events import happened

        happened.connect(count_event, dispatch_uid="metrics")
