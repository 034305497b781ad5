"""The first table."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Make the table of notices."""

    initial = True
    operations = [
        migrations.CreateModel(
            "Notice",
            [
                ("id", models.AutoField(primary_key=True, serialize=False)),
                ("text", models.CharField(max_length=200, unique=True)),
            ],
        )
    ]
