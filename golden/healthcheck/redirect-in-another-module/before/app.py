from flask import Flask

from extensions import talisman

app = Flask(__name__)
talisman.init_app(app)


@app.get("/health")
def health():
    return "ok"
