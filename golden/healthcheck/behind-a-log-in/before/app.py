from flask import Flask
from flask_login import login_required

app = Flask(__name__)


@app.get("/health")
@login_required
def health():
    return "ok"
