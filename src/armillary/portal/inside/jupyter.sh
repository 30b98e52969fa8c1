# Has JupyterLab listen on a socket that only this user may open. Lines that begin with @ are told to whoever waits.
set -eu
share="${XDG_DATA_HOME:-$HOME/.local/share}/armillary"
mkdir -p "$share/run"
chmod 700 "$share/run"
socket="$share/run/jupyter.sock"
cd "$HOME"
PATH="$PATH:$HOME/.local/bin"

answers() {
    python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])' "$socket" 2> /dev/null
}

command -v python3 > /dev/null || { echo "@no-python"; exit 1; }
exec 9> "$share/run/jupyter.lock"
flock 9
if answers; then
    echo "@ready $socket"
    exit 0
fi
lab="$share/jupyter/bin/jupyter-lab"
[ -x "$lab" ] || lab=$(command -v jupyter-lab || true)
if [ -z "$lab" ]; then
    echo "@installing"
    # beside what the machine's own Python has, so that notebooks find that too
    if ! python3 -m venv --clear --system-site-packages "$share/jupyter.new" > /dev/null 2>&1; then
        sudo -n sh -c 'apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends python3-venv'
        python3 -m venv --clear --system-site-packages "$share/jupyter.new"
    fi
    # whole or not at all: what a broken connection leaves is begun anew
    "$share/jupyter.new/bin/python" -m pip install --no-input --progress-bar off --disable-pip-version-check jupyterlab
    rm -rf "$share/jupyter"
    mv "$share/jupyter.new" "$share/jupyter"
    # a virtual environment's programs name the place that it was made at
    grep -lI "^#!$share/jupyter.new/" "$share"/jupyter/bin/* | xargs sed -i "1s,$share/jupyter.new/,$share/jupyter/,"
    lab="$share/jupyter/bin/jupyter-lab"
fi
echo "@starting"
rm -f "$socket"
# The socket's mode is the lock on the door; only the portal, which signed in as this user, comes through it.
setsid nohup "$lab" --no-browser --ServerApp.sock="$socket" --ServerApp.sock_mode=0600 --ServerApp.root_dir="$HOME" \
    --IdentityProvider.token= --PasswordIdentityProvider.hashed_password= \
    > "$share/jupyter.log" 2>&1 < /dev/null 9>&- &
server=$!
tries=0
until answers; do
    tries=$((tries + 1))
    if [ "$tries" -gt 600 ] || ! kill -0 "$server" 2> /dev/null; then
        tail -n 20 "$share/jupyter.log"
        exit 1
    fi
    sleep 0.3
done
echo "@ready $socket"
