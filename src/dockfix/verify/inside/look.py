# mypy: ignore-errors
# Runs inside the container's own network, with whatever Python is there (3.5 or newer): no f-strings, no imports from
# dockfix. It waits until something listens, asks for the routes, and prints what it saw as one line of JSON.
import json
import os
import re
import sys
import time
from http.client import HTTPConnection

LOOPBACK = re.compile("[0-9A-F]{6}7F|0{24}01000000|0{16}FFFF0000[0-9A-F]{6}7F")
DOCKER_DNS = "0B00007F"
ASSET = re.compile("(?:src|href)\\s*=\\s*[\"']?([^\"'\\s>]+\\.(?:css|js|png|jpe?g|svg|gif|ico|webp|woff2?))")
MOST = 300000


def listening(only):
    found = {}
    for name in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(name) as file:
                lines = file.read().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            address, _, port = fields[1].rpartition(":")
            number = int(port, 16)
            if fields[3] != "0A" or address == DOCKER_DNS or (only and number not in only):
                continue
            found[number] = found.get(number, True) and LOOPBACK.match(address) is not None
    return found


def ask(port, route, patience, host=None):
    answer = {"status": None, "type": "", "body": "", "location": "", "error": ""}
    end = time.time() + 10
    while True:
        connection = HTTPConnection("localhost", port, timeout=max(15, patience))
        try:
            headers = {"User-Agent": "dockfix", "Accept": "text/html,*/*;q=0.8"}
            if host:
                headers["Host"] = host
            connection.request("GET", route, headers=headers)
            response = connection.getresponse()
            answer["status"] = response.status
            answer["type"] = response.getheader("Content-Type") or ""
            answer["location"] = response.getheader("Location") or ""
            answer["body"] = response.read(MOST).decode("utf-8", "replace")
        except (ConnectionRefusedError, ConnectionResetError) as error:
            if time.time() < end:
                time.sleep(0.3)
                continue
            answer["error"] = type(error).__name__
        except Exception as error:
            answer["error"] = type(error).__name__
        finally:
            connection.close()
        return answer


def main():
    job = json.loads(sys.argv[1])
    start = time.time()
    found = {}
    while not found and time.time() - start < job["wait"]:
        time.sleep(0.1)
        found = listening(job["only"])
    seconds = time.time() - start
    if found:
        time.sleep(0.5)  # some listen on several ports, one after the other
        found = listening(job["only"])
    chosen = [port for port in job["ports"] if port in found] or sorted(found)
    rounds = []
    routes = list(job["routes"]) if chosen else []
    host = None
    for number in range(2 if chosen else 0):
        answers = {}
        for route in routes:
            # a server may listen long before its workers have loaded the application
            patience = 0 if rounds or answers else start + job["wait"] - time.time()
            answers[route] = ask(chosen[0], route, patience, host)
            if answers[route]["status"] == 400 and not rounds and len(answers) == 1:
                for other in job["hosts"]:  # Django's ALLOWED_HOSTS
                    answer = ask(chosen[0], route, 0, other)
                    if answer["status"] not in (None, 400):
                        answers[route], host = answer, other
                        break
            if route == "/" and number == 0 and "html" in answers[route]["type"]:
                links = [link.partition("?")[0] for link in ASSET.findall(answers[route]["body"])]
                links = ["/" + link.lstrip("./") for link in links if "//" not in link]
                routes += [link for link in sorted(set(links)) if link not in routes][:8]
            if answers[route]["status"] is None:
                break
        rounds.append(answers)
    listed = sorted([port, local] for port, local in found.items())
    seen = {"ports": listed, "asked": chosen[0] if chosen else None, "seconds": seconds, "rounds": rounds}
    seen["uid"] = os.getuid()
    print("\n" + json.dumps(seen))


main()
