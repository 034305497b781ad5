import os

SECRET_KEY = os.environ["SECRET_KEY"]
DEBUG = os.environ.get("DEBUG", "").lower() in ("1", "true", "yes")
ALLOWED_HOSTS = ["shop.example"]
INSTALLED_APPS = ["django.contrib.staticfiles"]
