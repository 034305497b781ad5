"""Notes, kept in a database in the working directory."""

import sqlite3

from flask import Flask, jsonify

app = Flask(__name__)


def database():
    connection = sqlite3.connect("notes.db")
    connection.execute("CREATE TABLE IF NOT EXISTS notes (text TEXT UNIQUE)")
    return connection


@app.route("/")
def index():
    with database() as connection:
        connection.execute("INSERT OR IGNORE INTO notes VALUES ('buy milk')")
        return jsonify([row[0] for row in connection.execute("SELECT text FROM notes")])


if __name__ == "__main__":
    app.run(host="0.0.0.0", port=5000)
