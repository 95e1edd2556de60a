// Trackers that lie, and canaries that tell who comes. Arguments: the address of this host, outside of loopback.
// Says {"ready", "liar", "flood", "redirect"} (their URLs), then {"came": where, "at": ms, "bytes": hex} for each connection that ends.
import { createServer as createHttp } from 'node:http';
import { createServer } from 'node:net';

const [host] = process.argv.slice(2);
const say = (line) => console.log(JSON.stringify(line));

function listening(server, address) {
  return new Promise((resolve) => server.listen(0, address, () => resolve(server.address().port)));
}

/** Takes what comes, answers nothing, and tells. */
async function canary(where, address) {
  const server = createServer((socket) => {
    const chunks = [];
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('error', () => {});
    const at = Date.now();
    socket.on('close', () => say({ came: where, at, bytes: Buffer.concat(chunks).toString('hex') }));
    setTimeout(() => socket.destroy(), 500);
  });
  return await listening(server, address);
}

function compact(address, port) {
  const entry = Buffer.alloc(6);
  entry.set(address.split('.').map(Number), 0);
  entry.writeUInt16BE(port, 4);
  return entry;
}

const loopback = await canary('loopback', '127.0.0.1');
const outside = await canary('outside', host);
const elsewhere = await canary('redirect', host);
const lies = Buffer.concat([
  ...[compact('127.0.0.1', loopback), compact('169.254.169.254', 80), compact('0.0.0.0', 80), compact(host, 0)],
  ...[compact('224.0.0.1', 6881), compact('255.255.255.255', 6881), compact(host, outside)],
]);
const answer = (peers) =>
  Buffer.concat([Buffer.from(`d8:intervali1e5:peers${peers.length}:`), peers, Buffer.from('e')]);
const flood = answer(
  Buffer.concat(Array.from({ length: 100_000 }, (_, i) => compact(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`, 6881))),
);

const liar = await listening(
  createHttp((_, response) => response.end(answer(lies))),
  host,
);
const flooder = await listening(
  createHttp((_, response) => response.end(flood)),
  host,
);
const redirector = await listening(
  createHttp((_, response) => response.writeHead(302, { location: `http://${host}:${elsewhere}/` }).end()),
  host,
);
const urlOf = (port) => `http://${host}:${port}/announce`;
say({ ready: true, liar: urlOf(liar), flood: urlOf(flooder), redirect: urlOf(redirector) });
