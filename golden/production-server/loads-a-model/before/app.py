from flask import Flask
import torch

MODEL = torch.load('model.pt')

app = Flask(__name__)


@app.route("/")
def index():
    return "hello"


if __name__ == "__main__":
    app.run(host="0.0.0.0", port=5000)
