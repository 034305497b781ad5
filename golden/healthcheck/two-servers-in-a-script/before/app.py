from flask import Flask

app = Flask(__name__)


@app.get("/health")
def health():
    return "ok"


if __name__ == "__main__":
    if app.debug:
        app.run(host="0.0.0.0", port=5000)
    else:
        from waitress import serve

        serve(app, port=8080)
