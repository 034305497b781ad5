from flask import Flask
from flask import Response

app = Flask(__name__)


@app.route("/")
def index():
    return Response((f"data: {n}\n\n" for n in range(9)), mimetype="text/event-stream")


if __name__ == "__main__":
    app.run(host="0.0.0.0", port=5000)
