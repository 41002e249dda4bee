import chatkeep.connections.models
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('connections', '0001_first'),
    ]

    operations = [
        migrations.CreateModel(
            name='Consent',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('uid', models.CharField(default=chatkeep.connections.models._uid, editable=False, max_length=16, unique=True)),
                ('provider', models.CharField(max_length=40)),
                ('name', models.CharField(blank=True, default='', max_length=100)),
                ('location', models.JSONField(default=dict)),
                ('secrets', models.BinaryField(default=bytes)),
                ('reconnects', models.CharField(blank=True, default='', max_length=16)),
                ('state_hash', models.CharField(blank=True, db_index=True, default='', max_length=64)),
                ('browser', models.CharField(blank=True, default='', max_length=64)),
                ('redirect', models.CharField(blank=True, default='', max_length=300)),
                ('origin', models.CharField(blank=True, default='', max_length=300)),
                ('asked', models.BinaryField(default=bytes)),
                ('made_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('tokens', models.BinaryField(default=bytes)),
                ('account', models.CharField(blank=True, default='', max_length=200)),
                ('account_id', models.CharField(blank=True, default='', max_length=200)),
                ('scopes', models.JSONField(default=list)),
                ('consented_at', models.DateTimeField(default=None, null=True)),
                ('ends_at', models.DateTimeField(default=None, null=True)),
                ('looked', models.JSONField(default=None, null=True)),
                ('trouble', models.CharField(blank=True, default='', max_length=40)),
                ('told', models.CharField(blank=True, default='', max_length=500)),
            ],
        ),
        migrations.AddField(
            model_name='connection',
            name='account_id',
            field=models.CharField(blank=True, default='', max_length=200),
        ),
        migrations.AddField(
            model_name='connection',
            name='consented_at',
            field=models.DateTimeField(default=None, null=True),
        ),
        migrations.AddField(
            model_name='connection',
            name='ends_at',
            field=models.DateTimeField(default=None, null=True),
        ),
        migrations.AddField(
            model_name='connection',
            name='scopes',
            field=models.JSONField(default=list),
        ),
        migrations.AddField(
            model_name='connection',
            name='secrets',
            field=models.BinaryField(default=bytes),
        ),
        migrations.AddField(
            model_name='connection',
            name='signed_out',
            field=models.BooleanField(default=False),
        ),
        migrations.CreateModel(
            name='Note',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('owner', models.CharField(max_length=16)),
                ('key', models.CharField(max_length=300)),
                ('value', models.BinaryField(default=bytes)),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('owner', 'key'), name='connections_one_note')],
            },
        ),
    ]
