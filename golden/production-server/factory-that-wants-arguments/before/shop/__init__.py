from flask import Flask


def create_app(settings):
    app = Flask(__name__)
    app.config["NAME"] = settings
    return app
