"""The shop – naïve."""
from __future__ import annotations

# third parties
from flask import Flask

app = Flask(__name__)
app.config["SECRET_KEY"] = "üx9Kd!27pQ"; app.config["NAME"] = "café"
