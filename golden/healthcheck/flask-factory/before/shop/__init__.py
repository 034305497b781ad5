from flask import Flask


def create_app():
    app = Flask(__name__)
    from shop.monitoring import monitoring

    app.register_blueprint(monitoring, url_prefix="/internal")
    return app
