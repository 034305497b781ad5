. "$(poetry env info --path)/bin/activate"
exec python main.py
