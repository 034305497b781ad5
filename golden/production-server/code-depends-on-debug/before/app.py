from flask import Flask

app = Flask(__name__)


@app.route("/")
def index():
    return "debug" if app.debug else "hello"


if __name__ == "__main__":
    app.run(host="0.0.0.0", debug=True)
