import os

open(os.environ['OUTPUT_DIR'] + '/x', 'w').write('x')
