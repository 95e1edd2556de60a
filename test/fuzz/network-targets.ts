/** The decoders of src/peer/network that read bytes from members: anyone may be one who was invited once. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { systemClock } from '../../src/common/clock.ts';
import { PeerwireError } from '../../src/common/errors.ts';
import { infoHashFromBytes } from '../../src/common/ids.ts';
import { silentLogger } from '../../src/common/log.ts';
import { parseHostPort } from '../../src/peer/network/addresses.ts';
import { decodeSection, readEnvelope, signSection } from '../../src/peer/network/catalogue.ts';
import { CatalogueStore } from '../../src/peer/network/catalogue-store.ts';
import {
  type CatalogueMessage,
  decodeCatalogueMessage,
  decodeConnectMessage,
  decodeMembershipMessage,
  decodePingMessage,
  encodeCatalogueMessage,
  encodeConnectMessage,
  encodeMembershipMessage,
  encodePingMessage,
  type MembershipMessage,
} from '../../src/peer/network/control-messages.ts';
import {
  decodeRelayMessage,
  encodeRelayMessage,
  type RelayMessage,
} from '../../src/peer/network/relay/relay-messages.ts';
import { applyDelta, encodeDelta } from '../../src/peer/network/section-delta.ts';
import { hold, memoryState, NETWORK, section, share, TestRegister, testPeer } from '../unit/peer/network/support.ts';
import type { Target } from './harness.ts';

const peer = testPeer();
const other = testPeer();
const to = [other.device];
const credentials = Buffer.from(peer.device);
const { device, instance } = peer;
const peerRef = { device, instance };

const sections = [
  section(peer),
  section(peer, { shares: [share({ message: 'hi', path: 'src/a.ts' }), share({ kind: 'folder', files: 3 })] }),
  section(peer, { to, shares: [share({ to })], holds: [hold(share({ to }), other.device, false)] }),
].map((one) => signSection(one, peer.identity, credentials).bytes);

/** What is read is what was written, and the store takes nothing but what was signed. */
const catalogue: Target = {
  samples: sections,
  run(input) {
    const store = new CatalogueStore({
      network: NETWORK,
      self: { device: other.device, instance: other.instance },
      members: new TestRegister(),
      state: memoryState(),
      clock: { ...systemClock, setTimeout: () => ({ dispose() {} }) },
      logger: silentLogger,
    });
    const { kind } = store.offer(input);
    const signed = sections.some((original) => original.equals(input));
    assert.equal(kind, signed ? 'new' : 'refused');
    store.dispose();
    const decoded = decodeSection(input);
    assert.ok(decoded.section.shares.length + decoded.section.holds.length <= 50_000);
  },
};

const manyShares = Array.from({ length: 50 }, (_, i) => share({ name: `share ${i}` }));
const [older, newer] = [manyShares, manyShares.slice(5)].map(
  (shares) => signSection(section(peer, { shares }), peer.identity, credentials).bytes,
);

/** What comes out is no larger than what went in, and a section in form. */
const sectionDelta: Target = {
  samples: [encodeDelta(older ?? Buffer.alloc(0), newer ?? Buffer.alloc(0)) ?? Buffer.alloc(0)],
  run(input) {
    const after = applyDelta(older ?? Buffer.alloc(0), input);
    assert.ok(after.length <= (older?.length ?? 0) + input.length);
    readEnvelope(after);
  },
};

const heads = [{ device, instance, audience: '', incarnation: 7, sequence: 8, digest: '0123456789abcdef' }];
const catalogueMessages: CatalogueMessage[] = [
  { type: 'heads', heads },
  {
    type: 'heads',
    heads: [
      ...heads,
      { ...heads[0], device, instance, audience: 'ab'.repeat(16), incarnation: 1, sequence: 1, digest: '00'.repeat(8) },
    ],
  },
  { type: 'want', names: [{ device, instance, audience: '' }] },
  {
    type: 'want',
    names: [
      { device, instance, audience: '', base: '0123456789abcdef' },
      { device, instance, audience: 'ef'.repeat(16) },
    ],
  },
  {
    type: 'delta',
    head: { ...heads[0], device, instance, audience: '', incarnation: 7, sequence: 9, digest: '01'.repeat(8) },
    base: 'ab'.repeat(8),
    size: 100,
    at: 50,
    data: randomBytes(20),
  },
  { type: 'part', name: { device, instance, audience: 'cd'.repeat(16) }, size: 100, at: 50, data: randomBytes(20) },
];

const controlCatalogue: Target = {
  samples: catalogueMessages.map(encodeCatalogueMessage),
  run(input) {
    const message = decodeCatalogueMessage(input);
    if (message === undefined) throw new PeerwireError('unsupported', 'of a later version');
    assert.deepEqual(decodeCatalogueMessage(encodeCatalogueMessage(message)), message);
  },
};

const membershipMessages: MembershipMessage[] = [
  { type: 'head', head: 'ab'.repeat(32) },
  { type: 'part', head: 'ab'.repeat(32), size: 100, at: 0, data: randomBytes(100) },
];

const controlMembership: Target = {
  samples: membershipMessages.map(encodeMembershipMessage),
  run(input) {
    const message = decodeMembershipMessage(input);
    if (message === undefined) throw new PeerwireError('unsupported', 'of a later version');
    assert.deepEqual(decodeMembershipMessage(encodeMembershipMessage(message)), message);
  },
};

const controlConnect: Target = {
  samples: [
    encodeConnectMessage({ type: 'dial', infohash: infoHashFromBytes(randomBytes(32)) }),
    encodeConnectMessage({ type: 'back', id: 7 }),
    encodeConnectMessage({ type: 'backed', id: 7, outcome: 'dropped' }),
  ],
  run(input) {
    const message = decodeConnectMessage(input);
    if (message === undefined) throw new PeerwireError('unsupported', 'of a later version');
    assert.deepEqual(decodeConnectMessage(encodeConnectMessage(message)), message);
  },
};

const token = randomBytes(16);
const id = randomBytes(8).toString('hex');
const here = [
  { device, instance, listens: true },
  { device: other.device, instance: other.instance, listens: false },
];
const relayMessages: RelayMessage[] = [
  { type: 'here', added: here, gone: [peerRef], relays: true },
  { type: 'here', added: [], gone: [], relays: false },
  { type: 'call', peer: peerRef },
  { type: 'called', peer: peerRef, host: '2001:db8::1', port: 6881 },
  { type: 'ping', id },
  { type: 'pong', id, load: 100 },
  { type: 'want', id, peer: peerRef },
  { type: 'open', id, token },
  { type: 'no', id },
  { type: 'join', peer: peerRef, token },
];

const controlRelay: Target = {
  samples: relayMessages.map(encodeRelayMessage),
  run(input) {
    const message = decodeRelayMessage(input);
    if (message === undefined) throw new PeerwireError('unsupported', 'of a later version');
    assert.deepEqual(decodeRelayMessage(encodeRelayMessage(message)), message);
  },
};

const controlPing: Target = {
  samples: [encodePingMessage('ping'), encodePingMessage('pong')],
  run(input) {
    const message = decodePingMessage(input);
    if (message === undefined) throw new PeerwireError('unsupported', 'of a later version');
    assert.equal(decodePingMessage(encodePingMessage(message)), message);
  },
};

/** Typed in by the user, or found in a file that someone edited. */
const hostPort: Target = {
  samples: ['127.0.0.1:6881', '[2001:db8::1]:1', 'build-box.lan:65535', '[::ffff:10.0.0.1]:80'].map((text) =>
    Buffer.from(text),
  ),
  run(input) {
    const address = parseHostPort(input.toString('latin1'));
    assert.ok(address.port >= 1 && address.port <= 65535);
  },
};

export const targets: Record<string, Target> = {
  catalogue,
  controlCatalogue,
  sectionDelta,
  controlMembership,
  controlConnect,
  controlRelay,
  controlPing,
  hostPort,
};
