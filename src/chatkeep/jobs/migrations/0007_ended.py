# An index for the figures of flags, built while others write.

from django.db import migrations, models

from chatkeep.connections.changing import AddIndexCalmly


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('jobs', '0006_flags'),
    ]

    operations = [
        AddIndexCalmly(
            model_name='job',
            index=models.Index(fields=['kind', 'ended_at'], name='jobs_ended'),
        ),
    ]
