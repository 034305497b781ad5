import mimetypes
import sys

for name in sys.argv[1:]:
    print(name, mimetypes.guess_type(name)[0])
