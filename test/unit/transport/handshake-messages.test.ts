import assert from 'node:assert/strict';
import { networkIdFromBytes, parseDeviceId, parsePeerInstance } from '../../../src/common/ids.ts';
import { encodeFrame, MAX_FRAME } from '../../../src/transport/handshake-frames.ts';
import {
  decodeAdmit,
  decodeHelloI,
  decodeHelloR,
  encodeAdmit,
  HELLO_R_SIZE,
  helloIToProve,
  helloRToProve,
  MAX_HELLO_I,
} from '../../../src/transport/handshake-messages.ts';
import {
  equalSecrets,
  initiatorProof,
  networkTag,
  type ProofContext,
  responderProof,
} from '../../../src/transport/proof.ts';

const instance = parsePeerInstance('0123456789abcdef');

describe('handshake messages', () => {
  const proof = Buffer.alloc(32, 9);
  const helloI = helloIToProve({ versions: [1, 2], instance, tag: Buffer.alloc(16, 7) });
  const helloR = helloRToProve({ version: 1, instance });

  it('have these bytes', () => {
    assert.equal(helloI.toString('hex'), `01020102${instance}${'07'.repeat(16)}`);
    assert.equal(helloR.toString('hex'), `0201${instance}`);
    assert.equal(encodeAdmit('admitted', Buffer.from('cs')).toString('latin1'), '\0cs');
    assert.equal(encodeAdmit('expired').toString('hex'), '03');
    assert.equal(encodeFrame(4, Buffer.from([0])).toString('hex'), '000000020400');
  });

  it('are read back, with what their proof covers', () => {
    assert.deepEqual(decodeHelloI(Buffer.concat([helloI.subarray(1), proof])), {
      hello: { versions: [1, 2], instance, tag: Buffer.alloc(16, 7) },
      signed: helloI,
      proof,
    });
    assert.deepEqual(decodeHelloR(Buffer.concat([helloR.subarray(1), proof])), {
      hello: { version: 1, instance },
      signed: helloR,
      proof,
    });
    assert.deepEqual(decodeAdmit(encodeAdmit('admitted', Buffer.from('cs'))), {
      outcome: 'admitted',
      countersignature: Buffer.from('cs'),
    });
    for (const outcome of ['admitted', 'not-admitted', 'revoked', 'expired'] as const) {
      assert.deepEqual(decodeAdmit(encodeAdmit(outcome)), { outcome, countersignature: undefined });
    }
  });

  it('of any other length are refused', () => {
    const hello = Buffer.concat([helloI.subarray(1), proof]);
    for (let length = 0; length <= MAX_HELLO_I + 10; length++) {
      if (length === hello.length) continue;
      const other = Buffer.concat([hello, Buffer.alloc(100)]).subarray(0, length);
      assert.throws(() => decodeHelloI(other), { code: 'protocol' });
      if (length !== HELLO_R_SIZE - 1) assert.throws(() => decodeHelloR(other), { code: 'protocol' });
    }
    assert.throws(() => decodeHelloI(Buffer.alloc(1 + 8 + 16 + 32)), { code: 'protocol' }, 'no version');
    assert.throws(() => decodeHelloI(Buffer.concat([Buffer.from([17]), Buffer.alloc(17 + 8 + 16 + 32)])), {
      code: 'protocol',
    });
    for (const admit of ['', '04', 'ff', '0100', '0300']) {
      assert.throws(() => decodeAdmit(Buffer.from(admit, 'hex')), { code: 'protocol' });
    }
  });

  it('fit into their frame, or are not sent', () => {
    assert.equal(encodeFrame(3, Buffer.alloc(MAX_FRAME - 1)).length, 4 + MAX_FRAME);
    assert.throws(() => encodeFrame(3, Buffer.alloc(MAX_FRAME)), { code: 'internal' });
  });
});

describe('proofs', () => {
  const context: ProofContext = {
    network: networkIdFromBytes(Buffer.alloc(32, 1)),
    secret: Buffer.alloc(32, 2),
    exported: Buffer.alloc(32, 3),
    initiator: parseDeviceId('A'.repeat(52)),
    responder: parseDeviceId(`B${'A'.repeat(51)}`),
  };
  const [helloI, helloR] = [Buffer.from('hello I'), Buffer.from('hello R')];

  it('never change, or peers of two versions no longer meet', () => {
    assert.deepEqual(
      [
        networkTag(context.network, context.secret, context.exported).toString('hex'),
        initiatorProof(context, helloI).toString('hex'),
        responderProof(context, helloI, helloR).toString('hex'),
      ],
      GOLDEN,
    );
  });

  it('depend on everything that both sides must agree on', () => {
    const changes: Partial<ProofContext>[] = [
      {},
      { network: networkIdFromBytes(Buffer.alloc(32, 9)) },
      { secret: Buffer.alloc(32, 9) },
      { exported: Buffer.alloc(32, 9) },
      { initiator: context.responder },
      { responder: context.initiator },
      { initiator: context.responder, responder: context.initiator },
    ];
    const proofs = changes.flatMap((change) => {
      const changed = { ...context, ...change };
      return [
        initiatorProof(changed, helloI),
        initiatorProof(changed, helloR),
        responderProof(changed, helloI, helloR),
        responderProof(changed, helloR, helloI),
        responderProof(changed, helloI, helloI),
      ].map((proof) => proof.toString('hex'));
    });
    assert.equal(new Set(proofs).size, proofs.length);
  });

  it('are compared by length and content', () => {
    assert.ok(equalSecrets(Buffer.from('ab'), Buffer.from('ab')));
    assert.ok(!equalSecrets(Buffer.from('ab'), Buffer.from('ac')));
    assert.ok(!equalSecrets(Buffer.from('ab'), Buffer.from('abc')));
    assert.ok(!equalSecrets(Buffer.alloc(0), Buffer.from('a')));
  });
});

/** Computed by an independent script from PROTOCOL.md. */
const GOLDEN = [
  'e4d5189be36359c2b14f35b406112251',
  '2de8324449dc1eb77c677dde714c29b34a351648dc18fc5a4e0422bd238d8178',
  'db364527f9ea7987b0e92d4b08e5b9f754be7168411caa6d282cba2c5ec97540',
];
