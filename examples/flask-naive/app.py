"""A shop's order page: small, and good enough to show what dockfix does."""

import os

import psycopg2
from flask import Flask, jsonify

app = Flask(__name__)
app.config["SECRET_KEY"] = "b1f5c2d09a7e4c6d8f30"


@app.route("/health")
def health():
    return jsonify(status="ok")


@app.route("/orders")
def orders():
    with psycopg2.connect(os.environ["DATABASE_URL"]) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id, customer FROM orders ORDER BY id")
        return jsonify([{"id": row[0], "customer": row[1]} for row in cursor.fetchall()])


if __name__ == "__main__":
    app.run(host="0.0.0.0", port=5000, debug=True)
