from pathlib import Path

password = Path("/run/secrets/db_password").read_text()
key = Path("/run/secrets/api_key").read_text()
