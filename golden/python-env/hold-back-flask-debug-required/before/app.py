from flask import Flask

app = Flask(__name__)

import os

app.debug = os.environ["FLASK_DEBUG"]
