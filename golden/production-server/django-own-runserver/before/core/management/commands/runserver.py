from django.core.management.commands.runserver import Command as Base


class Command(Base):
    default_port = '9000'
