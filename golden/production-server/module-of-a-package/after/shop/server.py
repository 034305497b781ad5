from flask import Flask

from .data import ITEMS

app = Flask(__name__)


@app.get("/")
def index():
    return ITEMS


if __name__ == "__main__":
    app.run(host="0.0.0.0", port=5000)
