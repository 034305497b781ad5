from pathlib import Path

password = Path("/run/secrets/db_password").read_text()
