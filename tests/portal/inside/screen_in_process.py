"""Takes the place of `Xvnc` in a machine: says the first words of a screen on its socket, and repeats what it hears.

python screen_in_process.py :1 -rfbunixpath PATH -rfbunixmode 0600 …
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from pathlib import Path


def serve(line: socket.socket) -> None:
    line.sendall(b"RFB 003.008\n")
    while said := line.recv(65536):
        line.sendall(said.upper())


words = sys.argv[1:]
options = dict(zip(words[1::2], words[2::2], strict=False))
Path("screen.json").write_text(json.dumps({"pid": os.getpid(), "words": words}))
with socket.socket(socket.AF_UNIX) as door:
    os.umask(0o777 & ~int(options["-rfbunixmode"], 8))
    door.bind(options["-rfbunixpath"])
    door.listen()
    while True:
        threading.Thread(target=serve, args=(door.accept()[0],), daemon=True).start()
