"""Production: refuses to start without its secret, its hosts and its database."""

import logging

from django.core.exceptions import ImproperlyConfigured

from config.settings.base import *  # noqa: F403
from config.settings.base import (
    BILLING_PAYMENT_PROVIDER,
    LOG_LEVEL,
    SECRET_KEY_FALLBACKS,
    database,
    env,
    logs,
)

_missing = [name for name in ("SECRET_KEY", "ALLOWED_HOSTS", "DATABASE_URL") if name not in env]
if _missing:
    raise ImproperlyConfigured(
        f"Production needs {', '.join(_missing)} in the environment or in .env: see .env.example."
    )
SECRET_KEY = env("SECRET_KEY")
if len(SECRET_KEY) < 50:
    raise ImproperlyConfigured("SECRET_KEY must have at least 50 characters: see .env.example.")
if any(len(key) < 50 for key in SECRET_KEY_FALLBACKS):
    raise ImproperlyConfigured("SECRET_KEY_FALLBACKS: each has at least 50 characters, as it was.")
ALLOWED_HOSTS = env.names("ALLOWED_HOSTS")
if "*" in ALLOWED_HOSTS:
    raise ImproperlyConfigured("ALLOWED_HOSTS must name the hosts; '*' lets every host name in.")
if BILLING_PAYMENT_PROVIDER == "sandbox":
    raise ImproperlyConfigured("The sandbox provider takes every payment: never in production.")

DATABASES = {"default": database(env.db_url("DATABASE_URL"))}

vars().update(env.email_url("EMAIL_URL", default="smtp://localhost:25"))
if vars()["EMAIL_BACKEND"] == "django.core.mail.backends.smtp.EmailBackend":
    EMAIL_BACKEND = "config.smtp.EmailBackend"  # which knows what was not answered
EMAIL_TIMEOUT = 10  # seconds

# ".example.com" among the hosts means the domain and whatever is below it.
CSRF_TRUSTED_ORIGINS = [f"https://{host.lstrip('.')}" for host in ALLOWED_HOSTS] + [
    f"https://*{host}" for host in ALLOWED_HOSTS if host.startswith(".")
]
# The proxy before the application must set or remove this header, whatever the client sent.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=True)
# The balancer's own checks, and Prometheus, come over plain HTTP from inside.
SECURE_REDIRECT_EXEMPT = [r"^api/v1/health", r"^metrics$"]
SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", default=31_536_000)
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True

STAFF_TWO_FACTOR_REQUIRED = env.bool("STAFF_TWO_FACTOR_REQUIRED", default=True)

STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

LOG_FORMAT = env("LOG_FORMAT", default="json")
LOG_REQUESTS = env.bool("LOG_REQUESTS", default=True)
LOGGING = logs.configuration(form=LOG_FORMAT, level=LOG_LEVEL)
logging.captureWarnings(True)  # Python's own are lines of the log too
