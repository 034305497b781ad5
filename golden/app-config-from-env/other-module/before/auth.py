from datetime import timedelta

import jwt

SECRET_KEY = "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4c"
ALGORITHM = "HS256"
GRANT_PASSWORD = "password"
START_TOKEN = "start"
LIFETIME = timedelta(minutes=30)
