ASGI_APPLICATION = "shop.asgi.application"
INSTALLED_APPS = ["channels"]
