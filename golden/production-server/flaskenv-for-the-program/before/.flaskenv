FLASK_APP=app.py
APP_MODE=shop
