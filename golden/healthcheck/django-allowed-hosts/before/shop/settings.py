ROOT_URLCONF = "shop.urls"
ALLOWED_HOSTS = ["shop.example.org", "localhost"]
