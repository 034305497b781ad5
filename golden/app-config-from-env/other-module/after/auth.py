import os
from datetime import timedelta

import jwt

SECRET_KEY = os.environ["SECRET_KEY"]
ALGORITHM = "HS256"
GRANT_PASSWORD = "password"
START_TOKEN = "start"
LIFETIME = timedelta(minutes=30)
