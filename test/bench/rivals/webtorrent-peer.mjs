// One webtorrent client: webtorrent-peer.mjs PACKAGE TORRENT DIR [PORT]. A seeder prints `port N`, a receiver `seconds S`.
import { registerHooks } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

// WebRTC needs a native module that is downloaded when it is installed; over TCP nobody misses it.
const classes = ['RTCPeerConnection', 'RTCSessionDescription', 'RTCIceCandidate'];
const noWebRtc = `${classes.map((name) => `export class ${name} {}`).join(';')};export default {}`;
registerHooks({
  resolve: (specifier, context, next) =>
    specifier.startsWith('webrtc-polyfill') || specifier === 'node-datachannel'
      ? { url: `data:text/javascript,${encodeURIComponent(noWebRtc)}`, shortCircuit: true }
      : next(specifier, context),
});

const [packageDir, torrentFile, dir, port] = process.argv.slice(2);
const { default: WebTorrent } = await import(pathToFileURL(path.join(packageDir, 'index.js')).href);
const client = new WebTorrent({
  dht: false,
  lsd: false,
  tracker: false,
  utp: false,
  natUpnp: false,
  natPmp: false,
  webSeeds: false,
});
client.on('error', (error) => {
  console.error(error);
  process.exit(1);
});
client.add(torrentFile, { path: dir, announce: [] }, (torrent) => {
  if (port === undefined) {
    const ready = () => console.log(`port ${client.torrentPort}`);
    if (torrent.done) ready();
    else torrent.once('done', ready);
    return;
  }
  const start = performance.now();
  torrent.once('done', () => console.log(`seconds ${(performance.now() - start) / 1000}`));
  torrent.addPeer(`127.0.0.1:${port}`);
});
