from flask import Flask

import access

app = Flask(__name__)
access.protect(app)


@app.get("/health")
def health():
    return "ok"
