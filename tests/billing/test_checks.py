import pytest

from billing.checks import webhook_secrets


class TestWebhookSecrets:
    def test_good_ones_pass(self, settings):
        settings.BILLING_WEBHOOK_SECRETS = ["whsec_dGVzdC1zZWNyZXQ=", "whsec_dGVzdC1zZWNyZXQ"]

        assert webhook_secrets() == []

    @pytest.mark.parametrize("secret", ["", "whsec_", "whsec_=", "whsec_é", "dGVzdC1zZWNyZXQ="])
    def test_one_that_cannot_be_read_is_named_by_its_position(self, settings, secret):
        settings.BILLING_WEBHOOK_SECRETS = ["whsec_dGVzdC1zZWNyZXQ=", secret]

        [error] = webhook_secrets()

        assert error.id == "billing.E001"
        assert "secret number 2" in error.msg
        assert not secret or secret not in error.msg.replace("“whsec_”", "")
