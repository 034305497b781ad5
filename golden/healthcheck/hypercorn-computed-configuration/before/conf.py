import os

bind = "0.0.0.0:" + os.getenv("TCP_PORT", "80")
