import environ

env = environ.Env(DEBUG=(bool, True))
DEBUG = env("DEBUG")
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.staticfiles",
]
