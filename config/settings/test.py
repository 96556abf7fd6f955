"""Tests: development's database, nothing slow, nothing sent."""

import os

# What a developer keeps in .env is not for tests, a database last of all.
os.environ["ENV_FILE"] = os.devnull

from config.settings.development import *  # noqa: F403

DEBUG = False
SECRET_KEY = "tests-only-not-a-secret-0123456789abcdefghijklmnopqrstuvwxyz"  # noqa: S105
SECRET_KEY_FALLBACKS: list[str] = []
ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
# Argon2 costs tens of milliseconds by design; its own tests put it back.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# Look static files up when they are asked for: each test client would read all of them.
WHITENOISE_AUTOREFRESH = True
RATE_LIMITS = dict.fromkeys(RATE_LIMITS)  # noqa: F405 - none, but in their own tests
BILLING_DEFAULT_CURRENCY = "USD"
BILLING_TIME_ZONE = "UTC"
BILLING_CHECKOUT_DAYS = 30
BILLING_INVOICE_DAYS_BEFORE = 0
BILLING_RETRY_DAYS = [1, 3, 5, 7]
BILLING_UNPAID_PLAN = ""
BILLING_PRORATION = "second"
BILLING_CHANGE_HOURS = 24
BILLING_TEST_CLOCKS = True
BILLING_PAYMENT_PROVIDER = "sandbox"
BILLING_WEBHOOK_SECRETS = [
    "whsec_dGVzdC1zZWNyZXQtb25lLTAxMjM0NTY3ODk=",
    "whsec_dGVzdC1zZWNyZXQtdHdvLTAxMjM0NTY3ODk=",
]
BILLING_CUSTOMER_URL = ""
BILLING_RENEWAL_NOTICE_DAYS = 14
BILLING_SELLER_NAME = "Example Ltd"
BILLING_SELLER_ADDRESS = ["1 Example Street", "10115 Berlin", "Germany"]
BILLING_SELLER_EMAIL = "billing@example.com"
BILLING_SELLER_TAX_ID = "DE123456789"
BILLING_SELLER_IBAN = "DE02120300000000202051"
BILLING_SELLER_BIC = "BYLADEM1001"
BILLING_SELLER_LOGO = ""
METRICS_TOKEN = ""
