"""Support may export what is kept of a customer. To erase one is the owner's to give."""

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations

ROLES = {"Support": ["accounts.export_user"]}


def extend_roles(apps, schema_editor):
    """Add to the groups; one that the owner has renamed or removed is left alone."""
    database = schema_editor.connection.alias
    create_permissions(
        installed.get_app_config("accounts"), verbosity=0, using=database, apps=apps
    )
    found = {
        f"{permission.content_type.app_label}.{permission.codename}": permission
        for permission in apps.get_model("auth", "Permission")
        .objects.using(database)
        .select_related("content_type")
    }
    groups = apps.get_model("auth", "Group").objects.using(database)
    for group in groups.filter(name__in=ROLES):
        group.permissions.add(*(found[permission] for permission in ROLES[group.name]))


class Migration(migrations.Migration):
    dependencies = [("accounts", "0004_erasure"), ("billing", "0008_periods_of_what_runs")]

    operations = [migrations.RunPython(extend_roles, migrations.RunPython.noop)]
