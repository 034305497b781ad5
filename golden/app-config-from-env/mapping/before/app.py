from flask import Flask


def create_app(test_config=None):
    app = Flask(__name__, instance_relative_config=True)
    app.config.from_mapping(
        SECRET_KEY="x9Kd!27pQ",
        DATABASE="shop.sqlite",
    )
    return app
