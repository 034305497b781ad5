from flask import Flask

app = Flask(__name__)


@app.route("/")
def index():
    return "hello"


if __name__ == "__main__":
    from dotenv import load_dotenv
    load_dotenv()
    app.run(host='0.0.0.0')
