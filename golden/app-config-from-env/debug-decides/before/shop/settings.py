import os

SECRET_KEY = os.environ["SECRET_KEY"]
DEBUG = True
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = []
if not DEBUG:
    SECURE_SSL_REDIRECT = True
