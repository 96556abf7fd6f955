from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0005_roles_of_the_back_office'),
    ]

    operations = [
        migrations.AddConstraint(
            model_name='invoice',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('cancelled_at__isnull', False), ('status', 'cancelled')), models.Q(models.Q(('status', 'cancelled'), _negated=True), ('cancelled_at', None)), _connector='OR'), name='invoice_cancelled_has_moment'),
        ),
        migrations.AddConstraint(
            model_name='payment',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('refunded_at__isnull', False), ('status', 'refunded')), models.Q(models.Q(('status', 'refunded'), _negated=True), ('refunded_at', None)), _connector='OR'), name='payment_refunded_has_moment'),
        ),
    ]
