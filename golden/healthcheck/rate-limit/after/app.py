from flask import Flask
from flask_limiter import Limiter

app = Flask(__name__)
limiter = Limiter(app=app, default_limits=["200 per day"])


@app.get("/health")
def health():
    return "ok"
