"""What the servers of the harness run with: production's behaviour, without its mail and HTTPS."""

from config.settings.development import *  # noqa: F403

DEBUG = False
BILLING_TEST_CLOCKS = False
EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
# Argon2 costs tens of milliseconds by design, and a processor that faults are to be made with.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# All of them come from one address.
RATE_LIMITS = dict.fromkeys(RATE_LIMITS)  # noqa: F405
