from os import environ

from flask import Flask


def create_app():
    app = Flask(__name__)
    app.secret_key = "x9Kd!27pQ"
    app.config["SENTRY_DSN"] = environ.get("SENTRY_DSN")
    return app
