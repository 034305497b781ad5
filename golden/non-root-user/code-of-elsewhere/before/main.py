from pathlib import Path

(Path(__file__).parent / 'x.txt').write_text('x')
