import os

from flask import Flask
from flask_mysqldb import MySQL

app = Flask(__name__)
app.config['MYSQL_USER'] = 'root'
app.config['MYSQL_PASSWORD'] = 'Gr4nit-17'
app.config['SECRET_KEY'] = ('x9Kd!'
                            '27pQ')
mysql = MySQL(app)
