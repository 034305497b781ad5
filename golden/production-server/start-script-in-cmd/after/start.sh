cd /app
exec gunicorn --bind 0.0.0.0:8000 --workers 4 --access-logfile - app:app
