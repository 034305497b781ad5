import os

SECRET_KEY = os.environ['KEY']
