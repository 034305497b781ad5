from config import NAME
from flask import Flask

app = Flask(__name__)
app.config["NAME"] = NAME
