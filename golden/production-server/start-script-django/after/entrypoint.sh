#!/bin/sh
set -e

# the schema first
python manage.py migrate --noinput

exec gunicorn --bind 0.0.0.0:$PORT --workers 4 --access-logfile - shop.wsgi:application
