from flask import Flask

site = Flask(__name__)
