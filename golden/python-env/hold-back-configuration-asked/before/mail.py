from flask import current_app


def send(text):
    if not current_app.config["DEBUG"]:
        print(text)
