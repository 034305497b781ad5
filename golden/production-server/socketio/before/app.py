from flask_socketio import SocketIO
from flask import Flask

app = Flask(__name__)


@app.route("/")
def index():
    return "ok"

socketio = SocketIO(app)

if __name__ == "__main__":
    socketio.run(app)
