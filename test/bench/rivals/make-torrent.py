"""Makes a torrent of one file: make-torrent.py FILE OUT v1|v2 TRACKER-URL-or-empty"""
import os
import sys

import libtorrent as lt

file, out, version, tracker = sys.argv[1:]
storage = lt.file_storage()
lt.add_files(storage, file)
flags = lt.create_torrent.v2_only if version == "v2" else lt.create_torrent.v1_only
torrent = lt.create_torrent(storage, 0, flags)
if tracker:
    torrent.add_tracker(tracker)
lt.set_piece_hashes(torrent, os.path.dirname(file))
with open(out, "wb") as handle:
    handle.write(lt.bencode(torrent.generate()))
