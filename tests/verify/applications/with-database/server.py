"""Says what the store says; without the store it does not start."""

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.request import urlopen

GOODS = urlopen(os.environ["STORE"], timeout=3).read()


class Handler(BaseHTTPRequestHandler):
    """Every path has the same answer."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(GOODS)))
        self.end_headers()
        self.wfile.write(GOODS)


if __name__ == "__main__":
    ThreadingHTTPServer(("0.0.0.0", 8000), Handler).serve_forever()
