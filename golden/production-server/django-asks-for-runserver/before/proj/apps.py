import sys

from django.apps import AppConfig


class Shop(AppConfig):
    name = 'proj'

    def ready(self):
        if 'runserver' in sys.argv:
            print('scheduler')
