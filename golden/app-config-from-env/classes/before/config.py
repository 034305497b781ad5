class Config(object):
    DEBUG = True
    SECRET_KEY: str = "x9Kd!27pQ"
    SESSION_COOKIE_NAME = "shop"


class ProductionConfig(Config):
    DEBUG = False
    SQLALCHEMY_DATABASE_URI = "mysql://shop:t0psecret@db/shop"


class DevelopmentConfig(Config):
    SQLALCHEMY_DATABASE_URI = "mysql://root:root@localhost/shop"


class TestingConfig(Config):
    SECRET_KEY = "testing-key-1"
