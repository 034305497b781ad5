import logging
import os
import time

from flask import Flask
from flask_sqlalchemy import SQLAlchemy

app = Flask(__name__)
app.config['SECRET_KEY'] = os.environ['SECRET_KEY']  # signs the cookies
app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["SQLALCHEMY_DATABASE_URI"]
app.config["SQLALCHEMY_TRACK_MODIFICATIONS"] = False
app.config.update(MAIL_SERVER="mail", MAIL_PASSWORD=os.environ["MAIL_PASSWORD"])
db = SQLAlchemy(app)
