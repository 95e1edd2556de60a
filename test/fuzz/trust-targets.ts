/** The decoders of src/transport and src/peer/trust that read bytes from a stranger. */
import assert from 'node:assert/strict';
import { decode, dictOf, encode } from '../../src/bittorrent/bencode.ts';
import type { PeerAddress } from '../../src/bittorrent/compact-address.ts';
import { sha256 } from '../../src/bittorrent/merkle.ts';
import { PeerwireError } from '../../src/common/errors.ts';
import { parsePeerInstance } from '../../src/common/ids.ts';
import { MemberBook, readMembers } from '../../src/peer/network/member-book.ts';
import { decodeCredentials, encodeCredentials, MAX_LINKS } from '../../src/peer/trust/credentials.ts';
import { encodeInvite, parseInvite } from '../../src/peer/trust/invite.ts';
import { readSettings, signSettings } from '../../src/peer/trust/network-settings.ts';
import { Statements } from '../../src/peer/trust/statements.ts';
import { encodeFrame, FrameReader, MAX_FRAME } from '../../src/transport/handshake-frames.ts';
import {
  ADMIT,
  decodeAdmit,
  decodeHelloI,
  decodeHelloR,
  encodeAdmit,
  HELLO_I,
  HELLO_R,
  helloIToProve,
  helloRToProve,
} from '../../src/transport/handshake-messages.ts';
import { decodeLsdAnnounce, encodeLsdAnnounce, MAX_INFO_HASHES } from '../../src/transport/lsd-announce.ts';
import { joinAnswers, readAnnounce, readRetryIn, readScrape } from '../../src/transport/tracker-answer.ts';
import { readUdpAnnounce } from '../../src/transport/udp-tracker.ts';
import { admit, DAY, joinedLink, meet, World } from '../unit/peer/trust/support.ts';
import type { Target } from './harness.ts';

const instance = parsePeerInstance('0123456789abcdef');
const proof = Buffer.alloc(32, 9);
const helloI = Buffer.concat([helloIToProve({ versions: [1], instance, tag: Buffer.alloc(16) }), proof]);
const helloR = Buffer.concat([helloRToProve({ version: 1, instance }), proof]);

/** The first byte says which message it is; what is read is what was written. */
const handshakeMessages: Target = {
  samples: [helloI, helloR, Buffer.concat([Buffer.from([ADMIT]), encodeAdmit('admitted', Buffer.from('x'))])],
  run(input) {
    const payload = input.subarray(1);
    switch (input[0]) {
      case HELLO_I: {
        const { hello, signed, proof } = decodeHelloI(payload);
        assert.deepEqual(helloIToProve(hello), signed);
        assert.deepEqual(Buffer.concat([signed, proof]), input);
        return;
      }
      case HELLO_R: {
        const { hello, signed, proof } = decodeHelloR(payload);
        assert.deepEqual(helloRToProve(hello), signed);
        assert.deepEqual(Buffer.concat([signed, proof]), input);
        return;
      }
      case ADMIT: {
        const { outcome, countersignature } = decodeAdmit(payload);
        assert.deepEqual(encodeAdmit(outcome, countersignature), payload);
        return;
      }
      default:
        throw new PeerwireError('protocol', 'another message');
    }
  },
};

/** However a stream is cut, the same frames come out of it, and no byte is lost between them. */
const handshakeFrames: Target = {
  samples: [
    Buffer.concat([encodeFrame(HELLO_I, helloI.subarray(1)), encodeFrame(ADMIT, encodeAdmit('admitted'))]),
    Buffer.concat([encodeFrame(3, Buffer.alloc(MAX_FRAME - 1, 5)), Buffer.from('channel bytes')]),
  ],
  run(input) {
    const whole = framesOf(input, () => input.length);
    assert.deepEqual(
      framesOf(input, (at) => 1 + ((input[at] ?? 0) % 13)),
      whole,
    );
    assert.deepEqual(
      framesOf(input, () => 1),
      whole,
    );
    if (whole.refused) throw new PeerwireError('protocol', 'a wrong length');
  },
};

function framesOf(input: Buffer, sizeAt: (at: number) => number): { frames: string[]; refused: boolean; left: number } {
  let rest: Buffer = Buffer.alloc(0);
  let refused = false;
  let reading = true;
  const frames: string[] = [];
  const reader = new FrameReader({
    start: () => {
      reading = true;
    },
    handBack: (bytes) => {
      rest = Buffer.from(bytes);
      reading = false;
    },
    close: () => {
      refused = true;
    },
  });
  const read = (): void => {
    void reader.read().then(
      () => {},
      () => {},
    );
  };
  read();
  let consumed = 0;
  for (let at = 0; at < input.length && !refused; ) {
    const chunk = input.subarray(at, at + sizeAt(at));
    at += chunk.length;
    for (let part: Buffer = chunk; part.length > 0 && !refused; part = rest) {
      rest = Buffer.alloc(0);
      reader.onData(part);
      if (reading) break;
      consumed = at - rest.length;
      frames.push(`ends at ${consumed}`);
      read();
    }
  }
  return { frames, refused, left: refused ? 0 : input.length - consumed };
}

const world = new World();
const invite = world.invite(DAY);
const [ann, bob, eve] = [world.join(invite), world.join(invite), world.join(invite)];
meet(world.creator, ann);
meet(ann, bob);
const trackers = ['http://10.0.0.1:6969/announce', 'udp://tracker.test:6969'];
world.creator.trust.setTrackers(trackers);
const withTrackers = world.invite(DAY);

const texts = [invite, withTrackers].flatMap((text) => [text, text.slice(text.indexOf('PW1-'))]);

function checkInvite(text: string): void {
  const parsed = parseInvite(text);
  assert.equal(parsed.network, world.creator.trust.network, 'only the creator can sign for its network');
  const again = parseInvite(encodeInvite(parsed));
  assert.deepEqual([again.proof, again.trackers], [parsed.proof, parsed.trackers]);
}

const inviteText: Target = {
  samples: texts.map((text) => Buffer.from(text)),
  run: (input) => checkInvite(input.toString('latin1')),
};

/** What is inside, with a checksum that is always right. */
const invitePayload: Target = {
  samples: texts.map((text) => Buffer.from(text.slice(text.indexOf('PW1-') + 4), 'base64url').subarray(0, -4)),
  run(input) {
    const checksum = sha256(input).subarray(0, 4);
    checkInvite(`PW1-${Buffer.concat([input, checksum]).toString('base64url')}`);
  },
};

const credentials: Target = {
  samples: [world.creator, ann, bob, eve].map((person) => person.trust.credentials()),
  run(input) {
    const decoded = decodeCredentials(input);
    assert.ok(decoded.links.length >= 1 && decoded.links.length <= MAX_LINKS);
    assert.deepEqual(decodeCredentials(encodeCredentials(decoded)), decoded);
    // Whatever else may be read: to be admitted takes the very certificates of the sample.
    const own = joinedLink(eve);
    try {
      admit(world.creator, eve, input);
    } catch (error) {
      assert.ok(error instanceof PeerwireError);
      assert.match(error.code, /^(not-admitted|expired|revoked)$/);
      return;
    }
    const last = decoded.links.at(-1);
    assert.ok(last?.kind === 'joined' && last.spki.equals(own.spki) && last.join.body.equals(own.join.body));
    assert.ok(last.proof.signed.body.equals(own.proof.signed.body));
  },
};

const revoked = new World();
for (let count = 0; count < 3; count++) revoked.creator.trust.revoke(revoked.join().identity.device);

const { network, rootKey } = parseInvite(revoked.invite());

/** With statements of an admin, and of a member who withdrew an invite of its own. */
const [admin, maker, evicted] = [revoked.join(), revoked.join(), revoked.join()];
for (const person of [admin, maker]) meet(revoked.creator, person);
revoked.creator.trust.makeAdmin({ device: admin.identity.device, spki: admin.identity.spki });
admin.trust.applyRevocations(revoked.creator.trust.revocationsBytes());
admin.trust.revoke(evicted.identity.device);
admin.trust.setTrackers(trackers);
maker.trust.withdrawInvite(revoked.invite(DAY, maker));
maker.trust.applyRevocations(admin.trust.revocationsBytes());

const statements: Target = {
  samples: [revoked, world]
    .map(({ creator }) => creator.trust.revocationsBytes())
    .concat(admin.trust.revocationsBytes(), maker.trust.revocationsBytes()),
  run(input) {
    const set = new Statements(network, rootKey);
    set.merge(input);
    const again = new Statements(network, rootKey);
    again.merge(set.encode());
    assert.equal(again.head, set.head);
    // Whatever else may be read: only what was really signed counts.
    const known = maker.trust.revokedDevices();
    assert.ok(set.revokedDevices().every((device) => known.includes(device)));
    assert.ok(set.settings === undefined || set.settings.trackers.length === trackers.length);
    assert.ok(
      set
        .admins()
        .every(({ device }) => device === admin.identity.device || device === revoked.creator.identity.device),
    );
  },
};

/** What is inside, whoever signed it. */
const networkSettings: Target = {
  samples: [
    signSettings(network, { sequence: 1, generation: 1, date: 2, name: 'team', trackers }, admin.identity.sign).signed
      .body,
  ],
  run(input) {
    const { settings } = readSettings({ body: input, signature: Buffer.alloc(64) });
    assert.ok(settings.name !== '' && Buffer.byteLength(settings.name) <= 128);
    assert.ok(settings.trackers.length <= 16);
    for (const url of settings.trackers) assert.match(url, /^(udp|https?):\/\//);
  },
};

/** The file of remembered members: from our own disk, and the names in it from others. */
const memberBook: Target = {
  samples: [
    Buffer.from(
      JSON.stringify([
        { device: admin.identity.device, name: 'ann', joined: 1, lastSeen: 2, inviter: maker.identity.device },
        { device: maker.identity.device, creator: true, spki: maker.identity.spki.toString('base64') },
      ]),
    ),
  ],
  run(input) {
    const members = readMembers(parseJson(input.toString('utf8')));
    const book = new MemberBook(() => undefined);
    for (const member of members) book.note(member);
    const again = readMembers(JSON.parse(JSON.stringify(book.serialize())));
    assert.deepEqual(again, book.list());
  },
};

function parseJson(text: string): unknown[] {
  try {
    const value: unknown = JSON.parse(text);
    if (Array.isArray(value)) return value;
  } catch {
    // As any text that is none.
  }
  throw new PeerwireError('bad-encoding', 'no list');
}

/** Of a tracker elsewhere. */
function checkPeers(peers: readonly PeerAddress[]): void {
  assert.ok(peers.length <= 200);
  for (const { host, port } of peers) {
    assert.match(host, /^[0-9a-f.:]+$/);
    assert.ok(!/^(127\.|0\.|169\.254\.|22[4-9]\.|2[3-5]\d\.)|^::1?$|^f[ef][89ab0-9]/.test(host), host);
    assert.ok(port >= 1 && port <= 65_535);
  }
}

const trackerResponse: Target = {
  samples: [
    encode({
      interval: 1800,
      'min interval': 60,
      'warning message': 'careful',
      peers: Buffer.from('0a0000011ae17f0000010050', 'hex'),
      peers6: Buffer.from('20010db80000000000000000000000011ae1', 'hex'),
    }),
    encode({ interval: 60, peers: '', 'tracker id': 'abc', 'external ip': Buffer.from([203, 0, 113, 5]) }),
    encode({ 'failure reason': 'no', 'retry in': 5 }),
    encode({ 'failure reason': 'no', 'retry in': 'never' }),
    encode({ interval: 1, peers: [{ ip: '10.0.0.1', port: 80, 'peer id': 'x' }] }),
    encode({ files: { aaaaaaaaaaaaaaaaaaaa: { complete: 1, incomplete: 2, downloaded: 3 } } }),
  ],
  run(input) {
    const dict = dictOf(decode(input));
    if (dict.has('files')) {
      const counts = readScrape(dict, Buffer.from('aaaaaaaaaaaaaaaaaaaa'));
      for (const count of Object.values(counts)) assert.ok(Number.isSafeInteger(count) && count >= 0);
      return;
    }
    const retryIn = readRetryIn(dict);
    assert.ok(retryIn === undefined || retryIn === Number.POSITIVE_INFINITY || (retryIn >= 0 && retryIn <= 86_400_000));
    if (dict.has('failure reason')) return;
    const answer = readAnnounce(dict, false);
    assert.ok((answer.trackerId?.length ?? 0) <= 256);
    assert.match(answer.externalAddress ?? '', /^[0-9a-f.:]*$/);
    assert.deepEqual(joinAnswers([answer, answer]), answer);
    assert.ok(answer.interval >= 5000 && answer.interval <= 24 * 3_600_000);
    checkPeers(answer.peers);
    assert.match(answer.warning ?? '', /^[^\p{C}]{0,200}$/u);
  },
};

/** The first byte says over which family it came. */
const trackerDatagram: Target = {
  samples: [
    Buffer.from('04000000010000002a000007080000000100000002' + '0a0000011ae1', 'hex'),
    Buffer.from('06000000010000002a000007080000000100000002' + '20010db80000000000000000000000011ae1', 'hex'),
  ],
  run(input) {
    const address = input[0] === 6 ? '2001:db8::2' : '203.0.113.2';
    const answer = readUdpAnnounce(input.subarray(1), address);
    assert.ok(answer.interval >= 5000 && answer.interval <= 24 * 3_600_000);
    checkPeers(answer.peers);
  },
};

/** Anyone on the LAN sends these. */
const lsdAnnounce: Target = {
  samples: [
    encodeLsdAnnounce({ port: 6881, infoHashes: [Buffer.alloc(20, 7)], cookie: 'cookie' }, 4),
    encodeLsdAnnounce({ port: 0, infoHashes: Array.from({ length: 24 }, (_, n) => Buffer.alloc(20, n)) }, 6),
  ],
  run(input) {
    const announce = decodeLsdAnnounce(input);
    if (announce === undefined) throw new PeerwireError('bad-encoding', 'no announce');
    assert.ok(announce.infoHashes.length >= 1 && announce.infoHashes.length <= MAX_INFO_HASHES);
    assert.deepEqual(decodeLsdAnnounce(encodeLsdAnnounce(announce, 4)), announce);
  },
};

export const targets: Record<string, Target> = {
  lsdAnnounce,
  'handshake-messages': handshakeMessages,
  'handshake-frames': handshakeFrames,
  'invite-text': inviteText,
  'invite-payload': invitePayload,
  credentials,
  statements,
  'network-settings': networkSettings,
  'member-book': memberBook,
  'tracker-response': trackerResponse,
  'tracker-datagram': trackerDatagram,
};
