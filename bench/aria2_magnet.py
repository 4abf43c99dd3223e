"""aria2 as a client that knows a magnet and a DHT node, up to its first verified piece.

    aria2_magnet.py PORT aria2c ..

Starts aria2 as it is told, and asks it over its RPC a hundred times a second for the pieces that it
has verified: it reports none by itself. `done` is printed at the first; then both go on until they
are ended.
"""

import http.client
import json
import signal
import subprocess
import sys
import time
import urllib.request

# Between two looks.
TICK_S = 0.01

port, command = sys.argv[1], sys.argv[2:]
aria2 = subprocess.Popen(command, stdout=subprocess.DEVNULL)


def active():
    asked = {"jsonrpc": "2.0", "id": "", "method": "aria2.tellActive", "params": [["bitfield"]]}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/jsonrpc", json.dumps(asked).encode())
    with urllib.request.urlopen(request, timeout=1) as reply:
        return json.load(reply)["result"]


# A magnet's own download is its metadata, with a bitfield of one digit; the torrent's is longer.
def is_done():
    try:
        fields = [each.get("bitfield", "") for each in active()]
    except (OSError, http.client.HTTPException):
        return False
    return any(len(field) > 2 and field.strip("0") for field in fields)


try:
    while not is_done():
        code = aria2.poll()
        if code == 0:
            # It has all of it by now.
            break
        if code is not None:
            sys.exit(1)
        time.sleep(TICK_S)
    print("done", flush=True)
    signal.pause()
finally:
    aria2.kill()
