from pathlib import Path

password = (Path(__file__).parent / "secrets" / "db_password.txt").read_text()
