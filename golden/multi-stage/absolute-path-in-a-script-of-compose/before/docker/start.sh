#!/bin/sh
exec /usr/local/bin/gunicorn --bind 0.0.0.0:8000 app:app
