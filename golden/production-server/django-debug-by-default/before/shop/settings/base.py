INSTALLED_APPS = ["django.contrib.auth", "django.contrib.staticfiles", "catalog"]
