class Config:
    TESTING = False


class ProductionConfig(Config):
    SQLALCHEMY_DATABASE_URI = "postgresql://shop:kj3h4k5jh34@db/shop"


class StagingConfig(Config):
    SQLALCHEMY_DATABASE_URI = "sqlite:///staging.db"
