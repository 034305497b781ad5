import logging
import time

from flask import Flask
from flask_sqlalchemy import SQLAlchemy

app = Flask(__name__)
app.config['SECRET_KEY'] = 'x9Kd!27pQ'  # signs the cookies
app.config["SQLALCHEMY_DATABASE_URI"] = "postgresql://shop:t0psecret@db/shop"
app.config["SQLALCHEMY_TRACK_MODIFICATIONS"] = False
app.config.update(MAIL_SERVER="mail", MAIL_PASSWORD="hunter2-17")
db = SQLAlchemy(app)
