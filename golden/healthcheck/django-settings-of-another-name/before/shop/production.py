from .settings import *

ALLOWED_HOSTS = ["shop.example"]
SECURE_SSL_REDIRECT = True
