from flask import Flask

from platforms import os

app = Flask(__name__)
app.config["SECRET_KEY"] = "x9Kd!27pQ"
app.config["OS"] = os
