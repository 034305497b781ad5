import os

DEBUG = os.environ.get("DEBUG", "False") == "True"
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.staticfiles",
]
STATIC_URL = "static/"
