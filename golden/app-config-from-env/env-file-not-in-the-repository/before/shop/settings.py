import os

SECRET_KEY = "5x-pW9#dk2mQ81"
DEBUG = True
ALLOWED_HOSTS = ["shop.example"]
INSTALLED_APPS = ["django.contrib.staticfiles"]
