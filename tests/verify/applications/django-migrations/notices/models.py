"""What hangs on the board."""

from django.db import models


class Notice(models.Model):
    """One notice."""

    id = models.AutoField(primary_key=True)
    text = models.CharField(max_length=200, unique=True)
