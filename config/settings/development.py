"""A developer's machine and the demo: everything is there without being asked for."""

from config.settings.base import *  # noqa: F403
from config.settings.base import database, env

DEBUG = env.bool("DEBUG", default=True)
SECRET_KEY = env("SECRET_KEY", default="development-only-not-a-secret-0123456789abcdefghijklmnop")
ALLOWED_HOSTS = env.names("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])

if "DATABASE_URL" in env:
    DATABASES = {"default": database(env.db_url("DATABASE_URL"))}
else:
    # Imported here, so that one who has a server of their own never meets it.
    from config import embedded_postgres

    DATABASES = {"default": database(embedded_postgres.database_settings())}

EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
WHITENOISE_USE_FINDERS = True  # static files without collectstatic
STATIC_ROOT = None

BILLING_PAYMENT_PROVIDER = env("BILLING_PAYMENT_PROVIDER", default="sandbox")
BILLING_WEBHOOK_SECRETS = env.names(
    "BILLING_WEBHOOK_SECRETS", default=["whsec_ZGV2ZWxvcG1lbnQtb25seS1ub3QtYS1zZWNyZXQ="]
)

BILLING_TEST_CLOCKS = env.bool("BILLING_TEST_CLOCKS", default=True)
