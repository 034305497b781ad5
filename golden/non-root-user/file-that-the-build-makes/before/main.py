import os

open(os.environ['LOGFILE'], 'a').write('x')
