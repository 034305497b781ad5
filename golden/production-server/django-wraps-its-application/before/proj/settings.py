SECRET_KEY = 'x'
DEBUG = True
ALLOWED_HOSTS = ['*']
INSTALLED_APPS = []
MIDDLEWARE = ['django.middleware.security.SecurityMiddleware']
ROOT_URLCONF = 'proj.urls'
WSGI_APPLICATION = 'proj.wsgi.wrapped'
