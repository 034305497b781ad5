#!/bin/sh
python manage.py makemigrations
exec gunicorn shop.wsgi
