import os

from flask import Flask

app = Flask(__name__)
if "SECRET_KEY" in os.environ:
    app.config["SECRET_KEY"] = os.environ["SECRET_KEY"]
else:
    app.config["SECRET_KEY"] = "x9Kd!27pQ"
