"""Tests: development's database, nothing slow, nothing sent."""

import os

# What a developer keeps in .env is not for tests, a database last of all.
os.environ["ENV_FILE"] = os.devnull

from config.settings.development import *  # noqa: F403

DEBUG = False
SECRET_KEY = "tests-only-not-a-secret-0123456789abcdefghijklmnopqrstuvwxyz"  # noqa: S105
ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
# Argon2 costs tens of milliseconds by design; its own tests put it back.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# Look static files up when they are asked for: each test client would read all of them.
WHITENOISE_AUTOREFRESH = True
BILLING_DEFAULT_CURRENCY = "USD"
BILLING_TIME_ZONE = "UTC"
BILLING_CHECKOUT_DAYS = 30
BILLING_PAYMENT_PROVIDER = "sandbox"
BILLING_WEBHOOK_SECRETS = [
    "whsec_dGVzdC1zZWNyZXQtb25lLTAxMjM0NTY3ODk=",
    "whsec_dGVzdC1zZWNyZXQtdHdvLTAxMjM0NTY3ODk=",
]
