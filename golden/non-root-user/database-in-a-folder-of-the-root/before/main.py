import sqlite3

sqlite3.connect('/data/app.db').execute('create table t(a)')
