"""The groups of staff: who may do what in the admin and in the API under /admin/."""

from django.apps import apps as installed
from django.conf import settings
from django.contrib.auth.management import create_permissions
from django.db import migrations

CATALOGUE = ["plan", "tokenbundle", "addon", "price"]
BILLING = [
    "subscription",
    "addonsubscription",
    "tokenbundlepurchase",
    "invoice",
    "invoicelineitem",
    "payment",
    "tokenaccount",
    "tokentransaction",
    "event",
]
PEOPLE = ["user", "billingdetails"]


def _each(app, models, *verbs):
    return [f"{app}.{verb}_{model}" for model in models for verb in verbs]


ROLES = {
    "Catalogue": _each("catalog", CATALOGUE, "view", "add", "change", "delete"),
    "Finance": [
        *_each("billing", [*BILLING, "invoiceseries"], "view"),
        *_each("catalog", CATALOGUE, "view"),
        *_each("accounts", PEOPLE, "view"),
        "billing.take_payment",
        "billing.void_invoice",
        "billing.refund_invoice",
    ],
    "Support": [
        *_each("accounts", PEOPLE, "view", "change"),
        *_each("billing", BILLING, "view"),
        "billing.adjust_tokens",
    ],
}


def make_roles(apps, schema_editor):
    """Make the groups; what somebody gave a group of the same name before, it keeps."""
    database = schema_editor.connection.alias
    # Permissions are made after all migrations, as a rule; these are wanted now.
    for app in ("accounts", "catalog", "billing"):
        create_permissions(
            installed.get_app_config(app), verbosity=0, using=database, apps=apps
        )
    found = {
        f"{permission.content_type.app_label}.{permission.codename}": permission
        for permission in apps.get_model("auth", "Permission")
        .objects.using(database)
        .select_related("content_type")
    }
    groups = apps.get_model("auth", "Group").objects.using(database)
    for name, permissions in ROLES.items():
        group, _is_new = groups.get_or_create(name=name)
        group.permissions.add(*(found[permission] for permission in permissions))


def remove_roles(apps, schema_editor):
    groups = apps.get_model("auth", "Group").objects.using(schema_editor.connection.alias)
    groups.filter(name__in=ROLES).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0002_initial"),
        ("catalog", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [migrations.RunPython(make_roles, remove_roles)]
