from flask import Flask

from settings import settings

app = Flask(__name__)
app.config["STAGE"] = settings.flask_env
