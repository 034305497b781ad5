"""The shop – naïve."""
from __future__ import annotations

import os

# third parties
from flask import Flask

app = Flask(__name__)
app.config["SECRET_KEY"] = os.environ["SECRET_KEY"]; app.config["NAME"] = "café"
