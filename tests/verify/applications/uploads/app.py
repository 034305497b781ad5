"""Takes files, and keeps them in a volume."""

import os
from pathlib import Path

from flask import Flask, jsonify, request

UPLOAD_FOLDER = Path(__file__).parent / "uploads"
app = Flask(__name__)


@app.route("/")
def index():
    (UPLOAD_FOLDER / "last-visit.txt").write_text("somebody was here")
    return jsonify(sorted(os.listdir(UPLOAD_FOLDER)))


@app.route("/upload", methods=["POST"])
def upload():
    file = request.files["file"]
    file.save(UPLOAD_FOLDER / Path(file.filename).name)
    return "", 204


if __name__ == "__main__":
    app.run(host="0.0.0.0", port=5000)
