from pathlib import Path

(Path.home() / '.settings').mkdir()
