from tests.settings.conftest import PRODUCTION

NAMES = ("ADDRESS", "IBAN", "BIC", "NAME")


class TestSeller:
    def test_is_read_from_the_environment(self, settings_of):
        found = settings_of(
            "production",
            *(f"BILLING_SELLER_{name}" for name in NAMES),
            **PRODUCTION
            | {
                "BILLING_SELLER_NAME": "Example, Ltd",
                "BILLING_SELLER_ADDRESS": "1 Example Street, back | 10115 Berlin|",
                "BILLING_SELLER_IBAN": "de02 1203 0000 0000 2020 51",
                "BILLING_SELLER_BIC": "byla dem1 001",
            },
        )

        assert found == {
            "BILLING_SELLER_NAME": "Example, Ltd",
            "BILLING_SELLER_ADDRESS": ["1 Example Street, back", "10115 Berlin"],
            "BILLING_SELLER_IBAN": "DE02120300000000202051",
            "BILLING_SELLER_BIC": "BYLADEM1001",
        }
