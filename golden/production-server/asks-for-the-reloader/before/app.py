from flask import Flask
import os
import threading

if os.environ.get('WERKZEUG_RUN_MAIN') == 'true':
    threading.Thread(target=print).start()

app = Flask(__name__)


@app.route("/")
def index():
    return "hello"


if __name__ == "__main__":
    app.run(host="0.0.0.0", port=5000)
