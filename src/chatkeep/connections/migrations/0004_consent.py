import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('connections', '0003_drill'),
    ]

    operations = [
        migrations.AddField(
            model_name='connection',
            name='ends_surely',
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name='connection',
            name='quota_at',
            field=models.DateTimeField(default=None, null=True),
        ),
        migrations.AddField(
            model_name='consent',
            name='ends_surely',
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name='consent',
            name='hint',
            field=models.CharField(blank=True, default='', max_length=500),
        ),
        migrations.AddField(
            model_name='consent',
            name='wider',
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name='note',
            name='written_at',
            field=models.DateTimeField(default=django.utils.timezone.now),
        ),
        migrations.AlterField(
            model_name='note',
            name='key',
            field=models.CharField(max_length=64),
        ),
    ]
