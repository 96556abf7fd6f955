"""
Give what runs already its anchor and its current period, and roles their new rights.

Until now nothing renewed by itself: a subscription whose time is over has expired, and nobody is
asked for the periods since.
"""

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations

ROLES = {
    "Catalogue": [
        "billing.add_coupon",
        "billing.change_coupon",
        "billing.delete_coupon",
        "billing.view_coupon",
        "billing.add_couponamount",
        "billing.change_couponamount",
        "billing.delete_couponamount",
        "billing.view_couponamount",
        "billing.view_couponredemption",
    ],
    "Finance": [
        "billing.retry_parked",
        "billing.view_coupon",
        "billing.view_couponamount",
        "billing.view_couponredemption",
        "billing.view_creditaccount",
        "billing.view_creditentry",
        "billing.view_mail",
        "billing.view_paymentattempt",
        "billing.view_subscriptionchange",
        "billing.view_testclock",
    ],
    "Support": [
        "billing.retry_parked",
        "billing.view_coupon",
        "billing.view_couponamount",
        "billing.view_couponredemption",
        "billing.view_creditaccount",
        "billing.view_creditentry",
        "billing.view_mail",
        "billing.view_paymentattempt",
        "billing.view_subscriptionchange",
        "billing.view_testclock",
    ],
}
EXPIRED = """
    UPDATE {table} SET status = 'expired'
     WHERE status IN ('trialing', 'active') AND expires_at <= now()
"""
SUBSCRIPTIONS = """
    UPDATE billing_subscription
       SET anchor_at = started_at, period_start = started_at, period_value = amount
     WHERE started_at IS NOT NULL
"""
ADD_ONS = """
    UPDATE billing_addonsubscription
       SET anchor_at = started_at, period_start = started_at, period_value = amount,
           paid_until = CASE WHEN billing_period <> 'one_time' THEN expires_at END
     WHERE started_at IS NOT NULL
"""


def note_periods(apps, schema_editor):
    for table in ("billing_addonsubscription", "billing_subscription"):
        schema_editor.execute(EXPIRED.format(table=table))
    schema_editor.execute(SUBSCRIPTIONS)
    schema_editor.execute(ADD_ONS)


def extend_roles(apps, schema_editor):
    """Add to the groups; one that the owner has renamed or removed is left alone."""
    database = schema_editor.connection.alias
    create_permissions(
        installed.get_app_config("billing"), verbosity=0, using=database, apps=apps
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
    dependencies = [("billing", "0007_recurring")]

    operations = [
        migrations.RunPython(note_periods, migrations.RunPython.noop),
        migrations.RunPython(extend_roles, migrations.RunPython.noop),
    ]
