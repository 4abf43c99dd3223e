"""Lives inside a test's network namespace: gives `lo` its addresses, then looks around on request.

One JSON object a line on stdin, one a line on stdout. It ends when stdin does, so it never
outlives the test, and the namespace goes with its last process.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request

# Addresses on `lo`: one for each party a test may have, v4 and v6.
HOSTS = 30


def furnish():
    lines = ["link set lo up"]
    for host in range(1, HOSTS + 1):
        # One subnet, so that a socket bound to no address speaks as 10.77.0.1.
        lines.append(f"addr add 10.77.0.{host}/24 dev lo")
        lines.append(f"addr add fd77::{host:x}/64 dev lo nodad")
    subprocess.run(["ip", "-batch", "-"], input="\n".join(lines), text=True, check=True)


def accepts(host, port):
    try:
        socket.create_connection((host, port), timeout=1).close()
        return True
    except OSError:
        return False


def http(url, headers, body):
    data = None if body is None else body.encode()
    request = urllib.request.Request(url, data=data, headers=headers)
    # No proxy of the machine's has a say in here.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=10) as reply:
            return {"status": reply.status, "headers": dict(reply.headers), "body": reply.read().hex()}
    except urllib.error.HTTPError as error:
        return {"status": error.code, "headers": dict(error.headers), "body": error.read().hex()}
    except OSError as error:
        return {"status": 0, "headers": {}, "body": str(error).encode().hex()}


adopted = []
furnish()
print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    if asked["do"] == "adopt":
        adopted.append(os.pidfd_open(asked["pid"]))
        answer = {}
    elif asked["do"] == "accepts":
        answer = {"accepts": accepts(asked["host"], asked["port"])}
    else:
        answer = http(asked["url"], asked["headers"], asked["body"])
    print(json.dumps(answer), flush=True)

# The test is over. What it started has ended, if the test had the time for that; what has not, and
# has shaken off the kernel's parent-death signal by changing its user, ends here. A pidfd never
# means another process.
for process in adopted:
    try:
        signal.pidfd_send_signal(process, signal.SIGKILL)
    except ProcessLookupError:
        pass
