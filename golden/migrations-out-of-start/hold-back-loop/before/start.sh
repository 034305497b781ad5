#!/bin/sh
until flask db upgrade; do
  sleep 5
done
exec gunicorn shop:app
