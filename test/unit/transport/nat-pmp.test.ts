import assert from 'node:assert/strict';
import { readAddress, readMapping } from '../../../src/transport/nat-pmp.ts';

const MAPPED = Buffer.from('00820000000000641ae12ee100001c20', 'hex');
const ADDRESS = Buffer.from('0080000000000064cb007101', 'hex');

describe('answers by NAT-PMP', () => {
  it('are read', () => {
    assert.deepEqual(readMapping(MAPPED, 6881), { port: 12_001, lifetime: 7200 });
    assert.equal(readAddress(ADDRESS), '203.0.113.1');
  });

  it('to something else, or cut short anywhere, are none', () => {
    assert.equal(readMapping(MAPPED, 6882), undefined);
    assert.equal(readMapping(ADDRESS, 6881), undefined);
    assert.equal(readAddress(MAPPED), undefined);
    for (let length = 0; length < MAPPED.length; length++)
      assert.equal(readMapping(MAPPED.subarray(0, length), 6881), undefined, `${length} bytes`);
    for (let length = 0; length < ADDRESS.length; length++)
      assert.equal(readAddress(ADDRESS.subarray(0, length)), undefined, `${length} bytes`);
  });

  it('that refuse say why', () => {
    const refusal = Buffer.from(MAPPED);
    refusal.writeUInt16BE(2, 2);
    assert.throws(() => readMapping(refusal, 6881), { code: 'unsupported', message: /refuses/ });
    refusal.writeUInt16BE(99, 2);
    assert.throws(() => readMapping(refusal, 6881), { code: 'unsupported', message: /99/ });
  });
});
