#!/bin/sh
python wait_for_db.py
python manage.py migrate
exec "$@"
