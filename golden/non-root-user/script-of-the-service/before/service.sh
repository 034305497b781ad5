#!/bin/sh
cron
exec gunicorn shop.wsgi
