import assert from 'node:assert/strict';
import { JsonBytes, parseJson } from '../../../src/common/json-bytes.ts';

describe('bytes in JSON', () => {
  const bytes = Uint8Array.from({ length: 300 }, (_, index) => index);

  it('come back from JSON and from structured clone as they were', () => {
    const message = { id: 1, result: { size: 300, data: new JsonBytes(bytes.buffer) } };
    for (const back of [parseJson(JSON.stringify(message)), structuredClone(message)]) {
      assert.deepEqual(back, { id: 1, result: { size: 300, data: bytes } });
    }
    assert.deepEqual(parseJson(JSON.stringify({ data: new JsonBytes(new ArrayBuffer(0)) })), {
      data: new Uint8Array(0),
    });
    const part = new JsonBytes(bytes.buffer, 10, 5);
    assert.deepEqual(parseJson(JSON.stringify([part])), [bytes.subarray(10, 15)]);
  });

  it('are nothing else: what only looks like them stays as it is', () => {
    for (const value of [{ base64: 'AAAA', more: 1 }, { base64: 7 }, '{"base64":"AAAA"}', null, 5, [{ base: 64 }]]) {
      assert.deepEqual(parseJson(JSON.stringify(value)), value);
    }
    assert.throws(() => parseJson('{"base64":"'), SyntaxError);
  });
});
