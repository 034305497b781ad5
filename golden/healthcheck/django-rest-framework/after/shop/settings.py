ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "shop.urls"
REST_FRAMEWORK = {"DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"]}
