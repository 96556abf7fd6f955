"""When invoices were cancelled, and what the groups of staff may do in the back office."""

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations

ROLES = {
    "Catalogue": ["billing.view_dashboard"],
    "Finance": ["billing.send_invoice", "billing.view_dashboard", "billing.view_report"],
    "Support": [
        "accounts.add_user",
        "billing.add_subscription",
        "billing.change_subscription",
        "billing.send_invoice",
        "billing.view_dashboard",
    ],
}
# The history has what a row was before each change: the last one of an invoice that is cancelled
# now was its cancellation, because nothing of it changes afterwards.
CANCELLED_AT = """
    UPDATE billing_invoice AS invoice
       SET cancelled_at = COALESCE(
               (SELECT max(history.pgh_created_at) FROM billing_invoicehistory history
                 WHERE history.pgh_obj_id = invoice.id),
               invoice.invoiced_at)
     WHERE invoice.status = 'cancelled' AND invoice.cancelled_at IS NULL
"""


def note_cancellations(apps, schema_editor):
    schema_editor.execute(CANCELLED_AT)


def extend_roles(apps, schema_editor):
    """Add to the groups; one that the owner has renamed or removed is left alone."""
    database = schema_editor.connection.alias
    for app in ("accounts", "billing"):
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
    for group in groups.filter(name__in=ROLES):
        group.permissions.add(*(found[permission] for permission in ROLES[group.name]))


class Migration(migrations.Migration):
    dependencies = [("billing", "0004_moments_of_refund_and_cancellation")]

    operations = [
        migrations.RunPython(note_cancellations, migrations.RunPython.noop),
        migrations.RunPython(extend_roles, migrations.RunPython.noop),
    ]
