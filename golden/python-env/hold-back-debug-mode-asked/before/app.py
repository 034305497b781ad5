from flask import Flask

app = Flask(__name__)

if app.debug:
    app.config["UPLOADS"] = "/tmp"
