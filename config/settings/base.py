"""What all settings share. Values of one installation come from the environment or from .env."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import environ
from django.core.exceptions import ImproperlyConfigured
from django.templatetags.static import static
from django.urls import reverse_lazy

from config import content_security, logs
from config.version import VERSION

BASE_DIR = Path(__file__).resolve().parent.parent.parent


class Environment(environ.Env):
    """
    The environment, and .env for what it does not name. What is empty is unset.

    A copy, so that the file's values reach the settings only, and no program that is started.
    """

    ENVIRON = {name: value for name, value in os.environ.items() if value}

    def names(self, variable: str, default: Iterable[str] = ()) -> list[str]:
        """Read a list with commas, with or without spaces after them."""
        found = (name.strip() for name in self.list(variable, default=list(default)))
        return [name for name in found if name]

    def rate(self, variable: str, default: str) -> tuple[int, timedelta] | None:
        """Read how often in how long: 20/15m; ``none`` is as often as one likes."""
        text = self.str(variable, default=default)
        if text == "none":
            return None
        found = re.fullmatch(r"([1-9]\d{0,8})/([1-9]\d{0,4})([smh])", text)
        units = {"s": "seconds", "m": "minutes", "h": "hours"}
        length = timedelta(**{units[found[3]]: int(found[2])}) if found else timedelta(0)
        if not found or length > timedelta(days=1):
            raise ImproperlyConfigured(
                f"{variable} must be like 20/15m: how often in so many s, m or h, of a day at most."
            )
        return int(found[1]), length

    def days(self, variable: str, default: Iterable[int] = ()) -> list[int]:
        """Read a list of numbers of days, each larger than the one before."""
        found = [int(day) for day in self.list(variable, default=list(default))]
        if any(day < 1 for day in found) or found != sorted(set(found)):
            raise ImproperlyConfigured(
                f"{variable} must be days like 1,3,5,7, each later than the one before."
            )
        return found


env = Environment()
_file = Path(env("ENV_FILE", default=str(BASE_DIR / ".env")))
if "ENV_FILE" in env and not _file.exists():
    raise ImproperlyConfigured(f"ENV_FILE names {_file}, and there is no such file.")
env.read_env(_file)
Environment.ENVIRON = {name: value for name, value in Environment.ENVIRON.items() if value}

DEBUG = False

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "unfold.contrib.import_export",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "csp",
    "axes",
    "django_otp",
    "django_otp.plugins.otp_static",
    "django_otp.plugins.otp_totp",
    "import_export",
    "pgtrigger",
    "pghistory",
    "accounts",
    "catalog",
    "billing",
]

MIDDLEWARE = [
    "config.middleware.Requests",  # first, so that everything has its id
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "config.middleware.PagePolicy",
    "config.middleware.PrivateAnswers",
    "config.middleware.OptionalTrailingSlash",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "accounts.staff_login.middleware.SecondFactor",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "config.middleware.AdminHistory",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "config.urls"
CSRF_FAILURE_VIEW = "config.api.form_too_old"
WSGI_APPLICATION = "config.wsgi.application"
APPEND_SLASH = False  # every API route answers with and without a slash, never by a redirect

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "config" / "templates"],  # before those of unfold
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# --- What browsers may do with answers: config/content_security.py, docs/security.md ---

CONTENT_SECURITY_POLICY = {"DIRECTIVES": content_security.ADMIN}
X_FRAME_OPTIONS = "DENY"  # for browsers that do not know frame-ancestors
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True  # forms carry the token themselves
CSRF_COOKIE_SAMESITE = "Lax"

# --- Database: each settings module says where it is ---

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
POSTGRESQL = "django.db.backends.postgresql"
# Behind a connection pooler in transaction mode nothing can be kept between transactions.
DATABASE_POOLED = env.bool("DATABASE_POOLED", default=False)
# Seconds that run_billing --every, wait_for_database and bin/demo wait for one that is to start.
DATABASE_START_TIMEOUT = env.float("DATABASE_START_TIMEOUT", default=30)

# Who answers requests has only so long: one that waits for ever holds a thread, and what it locked.
# Commands take what they need. config/gunicorn.py sets WEB_SERVER; in seconds, 0 is without end.
_is_server = env.bool("WEB_SERVER", default=False)
DATABASE_TIMEOUTS = {
    "lock_timeout": env.float("DATABASE_LOCK_TIMEOUT", default=10 if _is_server else 0),
    "statement_timeout": env.float("DATABASE_STATEMENT_TIMEOUT", default=25 if _is_server else 0),
    "idle_in_transaction_session_timeout": env.float(
        "DATABASE_IDLE_TIMEOUT", default=60 if _is_server else 0
    ),
}


def database(address: dict[str, Any]) -> dict[str, Any]:
    """Return the entry of ``DATABASES`` for this address, with what holds for any."""
    if address.get("ENGINE") != POSTGRESQL:
        raise ImproperlyConfigured(
            "DATABASE_URL must be a PostgreSQL address: postgres://user:password@host:5432/name."
        )
    # In seconds: a server that is gone must not hold every thread for minutes.
    options: dict[str, Any] = {"connect_timeout": env.int("DATABASE_CONNECT_TIMEOUT", default=5)}
    options |= address.get("OPTIONS", {})
    if not DATABASE_POOLED:
        # What is prepared once is planned once: by ids, for which any values are alike.
        given = options.get("options", "")
        chosen = ["plan_cache_mode=force_generic_plan"] + [
            f"{name}={seconds * 1000:.0f}" for name, seconds in DATABASE_TIMEOUTS.items() if seconds
        ]
        options["options"] = " ".join([given, *(f"-c {setting}" for setting in chosen)]).strip()
    return {
        **address,
        "CONN_MAX_AGE": env.int("DATABASE_CONN_MAX_AGE", default=600),
        "CONN_HEALTH_CHECKS": True,
        "DISABLE_SERVER_SIDE_CURSORS": DATABASE_POOLED,
        "OPTIONS": options,
    }


# --- People ---

# Keys that were replaced: what was signed with them still holds, nothing new is.
SECRET_KEY_FALLBACKS = env.names("SECRET_KEY_FALLBACKS")
AUTH_USER_MODEL = "accounts.User"
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",  # reads what an import may bring along
]
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
PASSWORD_RESET_TIMEOUT = 60 * 60  # seconds a mailed link lives
# Where the customer's web client asks for the new password; the token is appended.
PASSWORD_RESET_URL = env(
    "PASSWORD_RESET_URL", default="http://localhost:8000/reset-password?token="
)
DEFAULT_FROM_EMAIL = env("DEFAULT_FROM_EMAIL", default="billing@localhost")

# --- Sign-in of staff to the admin ---

LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"
STAFF_TWO_FACTOR_REQUIRED = env.bool("STAFF_TWO_FACTOR_REQUIRED", default=False)
OTP_TOTP_ISSUER = "vbwd billing"
AXES_ONLY_ADMIN_SITE = True
AXES_ENABLE_ADMIN = False  # accounts.staff_login.admin shows what there is to see
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
# The two together: nobody can lock a member of staff out from somewhere else.
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_USERNAME_FORM_FIELD = "username"
AXES_USERNAME_CALLABLE = "accounts.staff_login.callers.username_of"
AXES_CLIENT_IP_CALLABLE = "accounts.staff_login.callers.address_of"
AXES_LOCKOUT_CALLABLE = "accounts.staff_login.views.locked_out"
AXES_RESET_ON_SUCCESS = True
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_VERBOSE = False
AXES_DISABLE_ACCESS_LOG = True  # the row of each admin says when they came last
# How many proxies stand before the application: as many entries at the end of X-Forwarded-For are
# true, and what a client wrote before them is not.
TRUSTED_PROXIES = env.int("TRUSTED_PROXIES", default=0)

# Failed sign-ins count, successful ones do not: many people may share an address.
RATE_LIMITS = {
    "log_in_account": env.rate("LIMIT_LOG_IN_ACCOUNT", default="20/15m"),
    "log_in_address": env.rate("LIMIT_LOG_IN_ADDRESS", default="100/15m"),
    "register": env.rate("LIMIT_REGISTER", default="60/1h"),
    "forgot_password": env.rate("LIMIT_FORGOT_PASSWORD", default="20/1h"),
    # Notifications with a wrong signature, or none.
    "webhook": env.rate("LIMIT_WEBHOOK", default="60/1m"),
}

SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=env.int("ACCESS_TOKEN_MINUTES", default=15)),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=env.int("REFRESH_TOKEN_DAYS", default=30)),
    "ALGORITHM": "HS256",
    "USER_ID_CLAIM": "sub",
}

# --- API ---

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["accounts.authentication.SessionTokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": ["config.parsers.BoundedJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["drf_orjson_renderer.renderers.ORJSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "config.schema.AutoSchema",
    "DEFAULT_METADATA_CLASS": "config.metadata.Metadata",
    "EXCEPTION_HANDLER": "config.api.exception_handler",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
    "URL_FORMAT_OVERRIDE": None,  # ?format= has no meaning here
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "vbwd billing",
    "DESCRIPTION": "Subscriptions, prepaid tokens, invoices and payments.",
    "VERSION": VERSION,
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "AccountStatus": "accounts.models.User.Status",
        "InvoiceStatus": "billing.models.invoice.Invoice.Status",
        "PurchaseStatus": "billing.models.subscription.TokenBundlePurchase.Status",
        "SubscriptionStatus": "billing.models.subscription.SubscriptionStatus",
    },
}
# Bounds of a request. Over the first is 413, over the others 400; see docs/errors.md.
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024  # bytes of a body
DATA_UPLOAD_MAX_NUMBER_FIELDS = 1000  # of a form, and parameters of a query
DATA_UPLOAD_MAX_NUMBER_FILES = 10
API_MAX_DEPTH = 32  # levels of a JSON body
API_MAX_LIST_LENGTH = 1000  # entries of each list of it
API_MAX_FIELDS = 1000  # keys of all its objects together

# --- Billing ---

BILLING_DEFAULT_CURRENCY = env("BILLING_DEFAULT_CURRENCY", default="USD")
BILLING_TIME_ZONE = env("BILLING_TIME_ZONE", default="UTC")  # the seller's: what day an invoice has
try:
    ZoneInfo(BILLING_TIME_ZONE)
except (ZoneInfoNotFoundError, ValueError):
    raise ImproperlyConfigured(
        f"BILLING_TIME_ZONE must be a name like Europe/Berlin, and is {BILLING_TIME_ZONE!r}."
    ) from None
BILLING_CHECKOUT_DAYS = env.int("BILLING_CHECKOUT_DAYS", default=30)  # until an unpaid one expires
# How many days before the period's end its renewal is invoiced.
BILLING_INVOICE_DAYS_BEFORE = env.int("BILLING_INVOICE_DAYS_BEFORE", default=0)
# On which days after the first failure an unpaid renewal is tried again; access lasts until then.
BILLING_RETRY_DAYS = env.days("BILLING_RETRY_DAYS", default=[1, 3, 5, 7])
# What follows the last try: it ends, or the slug of the free plan on which it goes on.
BILLING_UNPAID_PLAN = env("BILLING_UNPAID_PLAN", default="")
# What the rest of a period is counted in when something changes in it: second or day.
BILLING_PRORATION = env("BILLING_PRORATION", default="second")
if BILLING_PRORATION not in ("second", "day"):
    raise ImproperlyConfigured("BILLING_PRORATION is second or day.")
# How long what a change costs holds.
BILLING_CHANGE_HOURS = env.int("BILLING_CHANGE_HOURS", default=24)
# Clocks of single customers that can be turned, for development and tests: never in production.
BILLING_TEST_CLOCKS = False
# Standard Webhooks secrets ("whsec_…"), comma-separated: all of them are accepted, so that one
# can be replaced without a gap.
BILLING_WEBHOOK_SECRETS = env.names("BILLING_WEBHOOK_SECRETS")
# How many tokens a member of each group may grant and take for one customer in one day.
BILLING_TOKEN_LIMITS = env.dict(
    "BILLING_TOKEN_LIMITS", cast={"value": int}, default={"Support": 10_000}
)
# What POST /user/invoices/<id>/pay uses. "sandbox" takes every payment and is not for production.
BILLING_PAYMENT_PROVIDER = env("BILLING_PAYMENT_PROVIDER", default="")

# Where customers see to what they have and pay: in the mails to them. Mails of an invoice add
# "invoice=<id>" to it. Without it they have no link.
BILLING_CUSTOMER_URL = env("BILLING_CUSTOMER_URL", default="")
# How many days before a yearly subscription renews its owner is told.
BILLING_RENEWAL_NOTICE_DAYS = env.int("BILLING_RENEWAL_NOTICE_DAYS", default=14)

# --- The seller, as invoices and their mails name them ---

BILLING_SELLER_NAME = env("BILLING_SELLER_NAME", default="vbwd billing")
BILLING_SELLER_ADDRESS = [  # lines
    line.strip() for line in env("BILLING_SELLER_ADDRESS", default="").split("|") if line.strip()
]
BILLING_SELLER_EMAIL = env("BILLING_SELLER_EMAIL", default="")
BILLING_SELLER_TAX_ID = env("BILLING_SELLER_TAX_ID", default="")
# Where customers transfer money to. Without it invoices say that one pays in one's account.
BILLING_SELLER_IBAN = env("BILLING_SELLER_IBAN", default="").replace(" ", "").upper()
BILLING_SELLER_BIC = env("BILLING_SELLER_BIC", default="").replace(" ", "").upper()
# A picture's path (SVG, PNG, JPEG), in a folder with nothing in it that is not for invoices.
BILLING_SELLER_LOGO = env("BILLING_SELLER_LOGO", default="")

# --- Language, time, files, logs ---

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = True
FORMAT_MODULE_PATH = "config.formats"
USE_TZ = True
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "config" / "static"]
STATIC_ROOT = BASE_DIR / "staticfiles"

# json (an object a line) or lines (for people).
LOG_FORMAT = env("LOG_FORMAT", default="lines")
if LOG_FORMAT not in logs.FORMS:
    raise ImproperlyConfigured("LOG_FORMAT is json or lines.")
LOG_LEVEL = env("LOG_LEVEL", default="INFO")
LOG_REQUESTS = env.bool("LOG_REQUESTS", default=False)  # a line for each
LOGGING = logs.configuration(form=LOG_FORMAT, level=LOG_LEVEL)

# What Prometheus shows to read /metrics. Without it there is no such page.
METRICS_TOKEN = env("METRICS_TOKEN", default="")
if METRICS_TOKEN and len(METRICS_TOKEN) < 32:
    raise ImproperlyConfigured("METRICS_TOKEN must have at least 32 characters, or be empty.")

UNFOLD = {
    "SITE_TITLE": "vbwd billing",
    "SITE_HEADER": "vbwd billing",
    "SITE_SYMBOL": "receipt_long",
    "SITE_FAVICONS": [
        {
            "rel": "icon",
            "type": "image/svg+xml",
            "href": lambda _request: static("billing/favicon.svg"),
        },
    ],
    "SITE_URL": None,  # there is no site beside the admin and the API
    "SHOW_VIEW_ON_SITE": False,
    "SIDEBAR": {"navigation": "config.navigation.side_bar"},
    "DASHBOARD_CALLBACK": "billing.admin.dashboard.show",
    "ACCOUNT": {
        "navigation": [
            {"title": "Two-factor sign-in", "link": reverse_lazy("second-factor-set-up")},
        ],
    },
}
