# Has a desktop whose screen is a socket that only this user may open. Lines that begin with @ are told to whoever waits.
set -eu
share="${XDG_DATA_HOME:-$HOME/.local/share}/armillary"
mkdir -p "$share/run"
chmod 700 "$share/run"
socket="$share/run/desktop.sock"
cd "$HOME"

answers() {
    python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])' "$socket" 2> /dev/null
}

exec 9> "$share/run/desktop.lock"
flock 9
if answers; then
    echo "@ready $socket"
    exit 0
fi
if ! command -v Xvnc > /dev/null || [ -z "$(command -v startxfce4 || command -v openbox)" ]; then
    echo "@installing"
    if command -v apt-get > /dev/null; then
        sudo -n sh -c 'apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends tigervnc-standalone-server openbox xterm x11-xserver-utils'
    else
        sudo -n dnf install -y -q tigervnc-server openbox xterm
    fi
fi
echo "@starting"
number=1
while [ -e "/tmp/.X11-unix/X$number" ] || [ -e "/tmp/.X$number-lock" ]; do number=$((number + 1)); done
rm -f "$socket"
# No port is opened; the socket's mode is the lock on the door.
setsid nohup Xvnc ":$number" -rfbunixpath "$socket" -rfbunixmode 0600 -rfbport -1 -SecurityTypes None -nolisten tcp \
    -AlwaysShared -geometry 1280x800 -depth 24 -desktop "$(hostname)" \
    > "$share/desktop.log" 2>&1 < /dev/null 9>&- &
server=$!
tries=0
until answers; do
    tries=$((tries + 1))
    if [ "$tries" -gt 200 ] || ! kill -0 "$server" 2> /dev/null; then
        tail -n 20 "$share/desktop.log"
        exit 1
    fi
    sleep 0.3
done
session=$(command -v startxfce4 || command -v openbox)
DISPLAY=":$number" setsid nohup "$session" >> "$share/desktop.log" 2>&1 < /dev/null 9>&- &
# a desktop without anything on it does not look alive
case "$session" in
    *openbox) DISPLAY=":$number" setsid nohup xterm -geometry 100x30+40+40 >> "$share/desktop.log" 2>&1 < /dev/null 9>&- & ;;
esac
echo "@ready $socket"
