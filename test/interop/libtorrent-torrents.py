"""What libtorrent (python3-libtorrent 2.x) makes of files and of torrents. One JSON request on stdin, one answer on stdout.

{"do": "create", "path": P, "pieceLength": N}   -> {"torrent": base64}                 a v2-only torrent of a file or folder
{"do": "load", "torrent": base64}               -> {"infohash", "name", "pieceLength", "pieces", "files": [{"path", "length", "root"}]}
{"do": "check", "torrent": base64, "dir": D}    -> {"progress": 0..1}                  hashes the files in D against the torrent
"""
import base64
import json
import os
import sys

import libtorrent as lt


def create(request):
    storage = lt.file_storage()
    lt.add_files(storage, request["path"])
    maker = lt.create_torrent(storage, request["pieceLength"], lt.create_torrent.v2_only)
    lt.set_piece_hashes(maker, os.path.dirname(request["path"]))
    torrent = maker.generate()
    torrent.pop(b"creation date", None)
    return {"torrent": base64.b64encode(lt.bencode(torrent)).decode()}


def load(request):
    info = lt.torrent_info(base64.b64decode(request["torrent"]))
    files = info.files()
    return {
        "infohash": str(info.info_hashes().v2),
        "name": info.name(),
        "pieceLength": info.piece_length(),
        "pieces": info.num_pieces(),
        "files": [
            {"path": files.file_path(i), "length": files.file_size(i), "root": str(files.root(i))}
            for i in range(files.num_files())
            if not files.file_flags(i) & lt.file_storage.flag_pad_file
        ],
    }


def check(request):
    session = lt.session({
        "listen_interfaces": "", "enable_dht": False, "enable_lsd": False, "enable_upnp": False,
        "enable_natpmp": False, "alert_mask": lt.alert.category_t.status_notification | lt.alert.category_t.error_notification,
    })
    params = lt.add_torrent_params()
    params.ti = lt.torrent_info(base64.b64decode(request["torrent"]))
    params.save_path = request["dir"]
    handle = session.add_torrent(params)
    while True:
        session.wait_for_alert(1000)
        for alert in session.pop_alerts():
            if isinstance(alert, lt.torrent_checked_alert):
                return {"progress": handle.status().progress}
            if isinstance(alert, lt.torrent_error_alert):
                raise RuntimeError(alert.message())


request = json.load(sys.stdin)
json.dump({"create": create, "load": load, "check": check}[request["do"]](request), sys.stdout)
