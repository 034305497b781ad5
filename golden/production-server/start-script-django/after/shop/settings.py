WSGI_APPLICATION = "shop.wsgi.application"
INSTALLED_APPS = []
