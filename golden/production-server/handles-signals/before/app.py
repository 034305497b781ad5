from flask import Flask
import signal

signal.signal(signal.SIGTERM, lambda *_: exit(3))

app = Flask(__name__)


@app.route("/")
def index():
    return "hello"


if __name__ == "__main__":
    app.run(host="0.0.0.0", port=5000)
