"""Who people are: the account, what goes on their invoices, where they are signed in."""

from __future__ import annotations

from typing import Any, ClassVar

import pgtrigger
from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.db.models import Value
from django.db.models.functions import Concat, Lower, Upper
from django.utils import timezone
from uuid_utils.compat import uuid7

from config.history import tracked
from config.locking import LockingQuerySet


class UserManager(BaseUserManager.from_queryset(LockingQuerySet)):  # type: ignore[misc]
    """Makes accounts with a lower-case e-mail: one account per address, whatever its case."""

    @classmethod
    def normalize_email(cls, email: str | None) -> str:
        return (email or "").strip().lower()

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email=self.normalize_email(username))

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        user = self.model(email=self.normalize_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> User:
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)


class Language(models.TextChoices):
    ENGLISH = "en", "English"
    GERMAN = "de", "Deutsch"


@tracked(exclude=["password", "last_login"])
class User(AbstractBaseUser, PermissionsMixin):
    """An account. Customers and staff are both users; staff have ``is_staff`` and groups."""

    class Status(models.TextChoices):
        PENDING = "pending"
        ACTIVE = "active"
        SUSPENDED = "suspended"
        DELETED = "deleted"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    email = models.EmailField(
        "e-mail",
        max_length=254,
        unique=True,
        error_messages={"unique": "There is an account with this e-mail already."},
    )
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.ACTIVE)
    is_staff = models.BooleanField("staff", default=False, help_text="May enter this admin.")
    language = models.CharField(
        max_length=10,
        choices=Language.choices,
        default=Language.ENGLISH,
        help_text="Of the mails to them.",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    # From then on the row says nothing of whose it was.
    erased_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = UserManager()

    EMAIL_FIELD = "email"
    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        constraints = [
            # With unique=True above: one account per address, whatever its case.
            models.CheckConstraint(
                condition=models.Q(email=Lower("email")), name="user_email_is_lower_case"
            ),
            models.CheckConstraint(
                condition=models.Q(erased_at=None) | models.Q(status="deleted"),
                name="user_erased_is_closed",
            ),
        ]
        permissions = [
            ("export_user", "Can export all that is kept of a customer"),
            ("erase_user", "Can erase customers"),
        ]
        indexes = [
            GinIndex(fields=["email"], opclasses=["gin_trgm_ops"], name="user_email_part"),
        ]

    def __str__(self) -> str:
        return self.email

    @property
    def is_active(self) -> bool:
        """What Django asks before it lets anybody in."""
        return self.status in (self.Status.PENDING, self.Status.ACTIVE)

    @property
    def is_employed(self) -> bool:
        """Whoever could enter the admin, or everything in it."""
        return self.is_staff or self.is_superuser

    @property
    def role(self) -> str:
        """The API's word for what ``is_staff`` says."""
        return "admin" if self.is_staff else "user"


# What somebody is called, for a search by part of it. The space before each word lets the index
# find even a short one by its beginning.
NAMES = Upper(
    Concat(Value(" "), "first_name", Value(" "), "last_name", Value(" "), "company"),
)


@tracked()
class BillingDetails(models.Model):
    """Name, company and address as they go on the next invoice."""

    user = models.OneToOneField(
        User, on_delete=models.CASCADE, primary_key=True, related_name="billing_details"
    )
    first_name = models.CharField(max_length=100, blank=True)
    last_name = models.CharField(max_length=100, blank=True)
    company = models.CharField(max_length=200, blank=True)
    vat_id = models.CharField("VAT id", max_length=50, blank=True)
    phone = models.CharField(max_length=50, blank=True)
    address_line_1 = models.CharField(max_length=200, blank=True)
    address_line_2 = models.CharField(max_length=200, blank=True)
    city = models.CharField(max_length=100, blank=True)
    postal_code = models.CharField(max_length=20, blank=True)
    country = models.CharField(max_length=2, blank=True, help_text="ISO 3166 alpha-2")

    class Meta:
        verbose_name_plural = "billing details"
        indexes = [GinIndex(OpClass(NAMES, name="gin_trgm_ops"), name="details_names_part")]

    def __str__(self) -> str:
        return self.company or f"{self.first_name} {self.last_name}".strip() or str(self.user_id)


class Session(models.Model):
    """
    One sign-in of one client: the family of refresh tokens that follow from it.

    ``token_id`` is the ``jti`` of the only refresh token that is still good.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="sessions")
    token_id = models.UUIDField()
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        triggers = [
            pgtrigger.ReadOnly(name="session_belongs_to_one", fields=["id", "user", "created_at"])
        ]

    def __str__(self) -> str:
        return str(self.id)


class RateLimit(models.Model):
    """
    How often somebody has done something since ``began_at``; see ``accounts.services.limits``.

    ``subject`` is a keyed hash of an e-mail or an address: the row names nobody.
    """

    scope = models.CharField(max_length=30)
    subject = models.CharField(max_length=64)
    count = models.IntegerField()
    began_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["scope", "subject"], name="rate_limit_once"),
        ]

    def __str__(self) -> str:
        return f"{self.scope}: {self.count}"
