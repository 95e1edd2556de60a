import assert from 'node:assert/strict';
import { PeerwireError } from '../../../src/common/errors.ts';
import { lateError, TrackerRefusal, trackerRemedy, unreachable } from '../../../src/transport/tracker-error.ts';

describe('what to do about a tracker that failed', () => {
  const failed = (code: string): PeerwireError =>
    unreachable(Object.assign(new Error(`${code} …`), { code }), 'host:1');

  for (const [code, remedy] of [
    ['ENOTFOUND', /whether the URL is right/],
    ['EAI_AGAIN', /online/],
    ['ECONNREFUSED', /whether the tracker runs/],
    ['ECONNRESET', /https/],
    ['ENETUNREACH', /online/],
    ['CERT_HAS_EXPIRED', /renew/],
    ['CERT_NOT_YET_VALID', /clock/],
    ['ERR_TLS_CERT_ALTNAME_INVALID', /the name that is in it/],
    ['SELF_SIGNED_CERT_IN_CHAIN', /NODE_EXTRA_CA_CERTS/],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', /NODE_EXTRA_CA_CERTS/],
    ['ERR_SSL_WRONG_VERSION_NUMBER', /http:\/\//],
    ['HPE_INVALID_CONSTANT', /https/],
  ] as const) {
    it(`is told for ${code}`, () => {
      const error = failed(code);
      assert.equal(error.code, 'connection');
      assert.match(error.message, /^host:1 cannot be reached: /);
      assert.match(String(trackerRemedy(error)), remedy);
      assert.ok(error.message.endsWith(String(trackerRemedy(error))));
    });
  }

  it('is told for what was no failure of the connection', () => {
    assert.match(String(trackerRemedy(lateError('host:1'))), /firewall/);
    assert.match(String(trackerRemedy(new TrackerRefusal('no'))), /whoever runs/);
    assert.match(String(trackerRemedy(new PeerwireError('tracker', 'HTTP status 404'))), /no tracker/);
    assert.match(String(trackerRemedy(new PeerwireError('unsupported', 'URL'))), /another URL/);
  });

  it('is not invented', () => {
    assert.equal(trackerRemedy(failed('EWHATEVER')), undefined);
    assert.equal(failed('EWHATEVER').message, 'host:1 cannot be reached: EWHATEVER …');
    assert.equal(trackerRemedy(new Error('x')), undefined);
  });

  it('looks at the first of several addresses that failed', () => {
    const refused = Object.assign(new Error('connect'), { code: 'ECONNREFUSED' });
    assert.match(String(trackerRemedy(unreachable(new AggregateError([refused, refused]), 'h'))), /tracker runs/);
  });
});
