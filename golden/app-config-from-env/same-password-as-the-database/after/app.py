import os

from flask import Flask
from flask_mysqldb import MySQL

app = Flask(__name__)
app.config['MYSQL_USER'] = 'root'
app.config['MYSQL_PASSWORD'] = os.environ['MYSQL_PASSWORD']
app.config['SECRET_KEY'] = (os.environ['SECRET_KEY'])
mysql = MySQL(app)
