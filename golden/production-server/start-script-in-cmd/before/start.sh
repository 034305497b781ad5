cd /app
flask run -h 0.0.0.0 -p 8000
