import os

if os.environ.get("BEHIND_PROXY"):
    bind = "0.0.0.0:8080"
else:
    bind = "0.0.0.0:80"
