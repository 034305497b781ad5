from pydantic_settings import BaseSettings


class Settings(BaseSettings):
    flask_env: str


settings = Settings()
