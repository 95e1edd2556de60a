// A router's NAT-PMP service (RFC 6886), run in the router's namespace: forwards TCP ports by nftables.
// Arguments: its address inside, its address outside. Says “ready”, then “map PORT EXTERNAL LIFETIME” for each request.
import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';

const [inside, outside] = process.argv.slice(2);
/** Behind every port that is asked for: not the same one, as where it is taken. */
const SHIFT = 1000;

execFileSync('nft', ['-f', '-'], {
  input: 'table ip pmp {\n chain prerouting {\n type nat hook prerouting priority dstnat; policy accept;\n }\n}\n',
});

const socket = createSocket('udp4');
socket.on('message', (message, { address, port }) => {
  const operation = message[1];
  const answer = Buffer.alloc(operation === 0 ? 12 : 16);
  answer[1] = 128 + operation;
  if (operation === 0) answer.set(outside.split('.').map(Number), 8);
  if (operation === 2) {
    const internal = message.readUInt16BE(4);
    const lifetime = message.readUInt32BE(8);
    const external = internal > 60_000 ? internal - SHIFT : internal + SHIFT;
    execFileSync('nft', ['flush', 'chain', 'ip', 'pmp', 'prerouting']);
    if (lifetime > 0) {
      const rule = `ip daddr ${outside} tcp dport ${external} dnat to ${address}:${internal}`;
      execFileSync('nft', ['add', 'rule', 'ip', 'pmp', 'prerouting', ...rule.split(' ')]);
    }
    answer.writeUInt16BE(internal, 8);
    answer.writeUInt16BE(lifetime > 0 ? external : 0, 10);
    answer.writeUInt32BE(lifetime, 12);
    console.log(`map ${internal} ${external} ${lifetime}`);
  }
  socket.send(answer, port, address);
});
socket.bind(5351, inside, () => console.log('ready'));
