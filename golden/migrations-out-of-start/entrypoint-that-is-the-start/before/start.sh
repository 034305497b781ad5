#!/bin/sh
python manage.py migrate
exec gunicorn shop.wsgi
