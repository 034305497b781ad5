#!/bin/sh
./wait-for-it.sh db:5432
python manage.py collectstatic --noinput
exec "$@"
