from flask import abort, request


def check():
    if "X-Team" not in request.headers:
        abort(401)


def protect(app):
    app.before_request(check)
