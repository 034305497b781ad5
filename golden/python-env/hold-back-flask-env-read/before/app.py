from flask import Flask

app = Flask(__name__)

import os

app.config.from_object("config." + os.environ["FLASK_ENV"])
