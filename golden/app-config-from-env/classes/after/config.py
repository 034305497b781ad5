import os


class Config(object):
    DEBUG = os.environ.get("FLASK_DEBUG") == "1"
    SECRET_KEY: str = os.environ["SECRET_KEY"]
    SESSION_COOKIE_NAME = "shop"


class ProductionConfig(Config):
    DEBUG = False
    SQLALCHEMY_DATABASE_URI = "mysql://shop:t0psecret@db/shop"


class DevelopmentConfig(Config):
    SQLALCHEMY_DATABASE_URI = "mysql://root:root@localhost/shop"


class TestingConfig(Config):
    SECRET_KEY = "testing-key-1"
