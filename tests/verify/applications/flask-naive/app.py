"""A shop window."""

from flask import Flask, jsonify, render_template

app = Flask(__name__)
ITEMS = [{"name": "kettle", "price": 25}, {"name": "teapot", "price": 18}]


@app.route("/")
def index():
    return render_template("index.html", items=ITEMS)


@app.route("/items")
def items():
    return jsonify(ITEMS)


if __name__ == "__main__":
    app.run(host="0.0.0.0", port=5000, debug=True)
