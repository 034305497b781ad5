from flask import Flask

try:
    app = Flask(__name__, static_folder="dist")
except OSError:
    app = Flask(__name__)
