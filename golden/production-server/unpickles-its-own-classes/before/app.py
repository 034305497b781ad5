from flask import Flask
import pickle


class Model:
    pass


MODEL = pickle.load(open('model.pkl', 'rb'))

app = Flask(__name__)


@app.route("/")
def index():
    return "hello"


if __name__ == "__main__":
    app.run(host="0.0.0.0", port=5000)
