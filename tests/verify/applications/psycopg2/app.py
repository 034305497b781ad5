"""Says which PostgreSQL client library it was built with."""

import psycopg2
from flask import Flask, jsonify

app = Flask(__name__)


@app.route("/")
def index():
    return jsonify(libpq=psycopg2.__libpq_version__)
