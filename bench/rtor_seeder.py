"""`rtor seed` as a seeder of the bench.

    rtor_seeder.py '{"rtor": "rtor", "torrent": "x.torrent", "data": "dir",
                     "seeder": ["10.77.2.1:7000", 1048576], "rc4": false}'

Prints `ready` when it listens, and ends when its stdin does, with one line of JSON: what it sent.
"""

import json
import signal
import socket
import subprocess
import sys
import time

# Between two attempts to connect while it hashes its content.
TICK_S = 0.05
# A limit of 0 is none, here and there.
job = json.loads(sys.argv[1])
addr, bytes_per_second = job["seeder"]
command = [job["rtor"], "seed", job["torrent"], "--data", job["data"], "--listen", addr]
command += ["--no-trackers", "--discover", "tracker", "--max-up", str(bytes_per_second), "--json"]
if job["rc4"]:
    command += ["--encryption", "require"]
host, port = addr.rsplit(":", 1)
seeder = subprocess.Popen(
    ["setpriv", "--pdeathsig", "KILL", "--", *command], stdout=subprocess.PIPE, text=True
)
while True:
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
        break
    except OSError:
        if seeder.poll() is not None:
            sys.exit(1)
        time.sleep(TICK_S)
print("ready", flush=True)
sys.stdin.read()
seeder.send_signal(signal.SIGINT)
told = json.loads(seeder.communicate()[0])
print(json.dumps([told["seed"]["uploaded_bytes"]]), flush=True)
