"""A libtorrent client for one torrent, without encryption, discovery or uTP. Arguments: JSON. Prints JSON lines.

{"torrent": base64 | "magnet": URI, "dir": D, "seed": bool, "peer": [host, port] | null}
-> {"port"} once it listens, {"state": "seeding"} when it has everything; it runs until stdin closes.
"""
import base64
import json
import select
import sys

import libtorrent as lt

request = json.loads(sys.argv[1])
session = lt.session({
    "listen_interfaces": "127.0.0.1:0",
    "enable_dht": False,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "enable_outgoing_utp": False,
    "enable_incoming_utp": False,
    "out_enc_policy": int(lt.enc_policy.disabled),
    "in_enc_policy": int(lt.enc_policy.disabled),
    "allow_multiple_connections_per_ip": True,
    "alert_mask": lt.alert.category_t.all_categories if request.get("debug") else 0,
})
if "torrent" in request:
    params = lt.add_torrent_params()
    params.ti = lt.torrent_info(base64.b64decode(request["torrent"]))
else:
    params = lt.parse_magnet_uri(request["magnet"])
params.save_path = request["dir"]
params.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
if request.get("seed"):
    params.flags |= lt.torrent_flags.seed_mode
torrent = session.add_torrent(params)
if request.get("peer"):
    torrent.connect_peer(tuple(request["peer"]))
print(json.dumps({"port": session.listen_port()}), flush=True)
said = False
while True:
    readable, _, _ = select.select([sys.stdin], [], [], 0.05)
    if readable and not sys.stdin.readline():
        break
    for alert in session.pop_alerts():
        if request.get("debug"):
            print(alert, file=sys.stderr)
    status = torrent.status()
    if not said and status.is_seeding:
        said = True
        print(json.dumps({"state": "seeding"}), flush=True)
