import os


class Config:
    SECRET_KEY = os.environ.get("SECRET_KEY") or "x9Kd!27pQ"
    MAIL_PASSWORD = os.getenv("MAIL_PASSWORD", "hunter2-17")
    DEBUG = os.environ.get("DEBUG") == "1"
