from flask import Flask, abort, request

app = Flask(__name__)


@app.get("/status")
def status():
    if request.headers.get("X-Token") != "monitor":
        abort(403)
    return "ok"
