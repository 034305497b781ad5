import sqlite3
from pathlib import Path

sqlite3.connect(Path(__file__).parent.parent / 'x.db').execute('create table t(a)')
