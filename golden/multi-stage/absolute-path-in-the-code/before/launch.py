import os

os.execv('/usr/local/bin/gunicorn', ['gunicorn', 'app:app'])
