. ./.env
exec python app.py
