import os

from flask import Flask

app = Flask(__name__)
app.secret_key = b"x9Kd!27pQ"
app.config["JWT_SECRET_KEY"] = "x9Kd" + "27pQ"
app.config["SQLALCHEMY_DATABASE_URI"] = f"postgresql://shop:t0psecret@{os.environ['DB_HOST']}/shop"
app.config["API_TOKEN"] = open("/run/secrets/token").read()
app.config["MAIL_PASSWORD"] = "change-me"
app.config["CACHE_URL"] = "redis://cache:6379"
app.config["SECRET_KEY"] = os.environ["SECRET_KEY"]
