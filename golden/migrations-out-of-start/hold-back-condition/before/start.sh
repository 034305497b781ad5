#!/bin/sh
if [ "$MIGRATE" = 1 ]; then
  python manage.py migrate
fi
exec gunicorn shop.wsgi
