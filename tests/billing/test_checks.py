import pytest

from billing.checks import seller, seller_is_named, webhook_secrets


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


class TestSeller:
    @pytest.mark.parametrize("iban", ["", "DE02120300000000202051", "GB82WEST12345698765432"])
    def test_with_a_good_iban_or_none_passes(self, settings, iban):
        settings.BILLING_SELLER_IBAN = iban

        assert seller() == []

    @pytest.mark.parametrize(
        "iban",
        ["DE02120300000000202015", "DE03120300000000202051", "DE02", "02DE120300000000202051"],
    )
    def test_with_a_slip_in_the_iban_is_an_error(self, settings, iban):
        settings.BILLING_SELLER_IBAN = iban

        assert [error.id for error in seller()] == ["billing.E002"]

    def test_with_a_logo_passes(self, settings, tmp_path):
        logo = tmp_path / "logo.svg"
        logo.write_text("<svg/>")
        settings.BILLING_SELLER_LOGO = str(logo)

        assert seller() == []

    @pytest.mark.parametrize("name", ["missing.svg", "logo.pdf"])
    def test_with_a_logo_that_is_no_picture_is_an_error(self, settings, tmp_path, name):
        (tmp_path / "logo.pdf").write_bytes(b"%PDF")
        settings.BILLING_SELLER_LOGO = str(tmp_path / name)

        assert [error.id for error in seller()] == ["billing.E003"]

    def test_without_an_address_is_a_warning_before_production(self, settings):
        assert seller_is_named() == []

        settings.BILLING_SELLER_ADDRESS = []

        assert [warning.id for warning in seller_is_named()] == ["billing.W001"]
