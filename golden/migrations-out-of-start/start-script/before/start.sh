#!/bin/sh
set -e

# bring the schema up to date
echo "Migrating the database ..."
python manage.py migrate

python manage.py collectstatic --noinput

exec gunicorn --bind 0.0.0.0:8000 shop.wsgi
