"""One libtorrent session: libtorrent-peer.py TORRENT DIR seed|get [PORT]. Prints `port N`, and a receiver `seconds S`."""
import sys
import time

import libtorrent as lt

torrent_file, folder, role, *port = sys.argv[1:]
settings = {
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
    "alert_mask": lt.alert.category_t.status_notification,
    # Neither loopback nor tmpfs needs care: room for everything in flight.
    "max_out_request_queue": 2000,
    "send_buffer_watermark": 5 * 1024 * 1024,
    "max_queued_disk_bytes": 64 * 1024 * 1024,
}
session = lt.session(settings)
params = lt.add_torrent_params()
params.ti = lt.torrent_info(torrent_file)
params.save_path = folder
params.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
if role == "seed":
    params.flags |= lt.torrent_flags.seed_mode
torrent = session.add_torrent(params)
print("port", session.listen_port(), flush=True)
if role == "seed":
    time.sleep(600)
    sys.exit()
while str(torrent.status().state) not in ("downloading", "finished"):
    time.sleep(0.01)
start = time.monotonic()
torrent.connect_peer(("127.0.0.1", int(port[0])))
while not torrent.status().is_seeding:
    session.wait_for_alert(20)
    session.pop_alerts()
print("seconds", time.monotonic() - start, flush=True)
