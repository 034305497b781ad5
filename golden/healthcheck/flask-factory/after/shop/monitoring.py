from flask import Blueprint

monitoring = Blueprint("monitoring", __name__, url_prefix="/elsewhere")


@monitoring.route("/ping")
def ping():
    return "pong"
