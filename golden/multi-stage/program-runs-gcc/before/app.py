from flask import Flask

app = Flask(__name__)


@app.route("/")
def index():
    return "hello"


import subprocess


@app.post('/c')
def c():
    return str(subprocess.run(['gcc', '-x', 'c', '-'], input=b'int main(){}').returncode)
