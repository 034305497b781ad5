#!/bin/sh
python manage.py collectstatic --noinput
exec gunicorn proj.wsgi -b 0.0.0.0:8000
