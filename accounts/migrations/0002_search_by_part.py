"""Indexes that find people by any part of their e-mail, name or company."""

import django.contrib.postgres.indexes
import django.db.models.functions.text
from django.contrib.postgres.operations import TrigramExtension
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0001_initial'),
        ('auth', '0012_alter_user_first_name_max_length'),
    ]

    operations = [
        TrigramExtension(),
        migrations.AddIndex(
            model_name='billingdetails',
            index=django.contrib.postgres.indexes.GinIndex(django.contrib.postgres.indexes.OpClass(django.db.models.functions.text.Upper(django.db.models.functions.text.Concat(models.Value(' '), 'first_name', models.Value(' '), 'last_name', models.Value(' '), 'company')), name='gin_trgm_ops'), name='details_names_part'),
        ),
        migrations.AddIndex(
            model_name='user',
            index=django.contrib.postgres.indexes.GinIndex(fields=['email'], name='user_email_part', opclasses=['gin_trgm_ops']),
        ),
    ]
