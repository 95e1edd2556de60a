import assert from 'node:assert/strict';
import { withProxy } from '../../../src/extension/proxy-environment.ts';

describe('the proxy of the settings', () => {
  const settings = { proxy: 'http://proxy.test:8080', noProxy: ['localhost', '*.test'] };

  it('is put into the environment', () => {
    assert.deepEqual(withProxy({ HOME: '/h' }, settings), {
      HOME: '/h',
      HTTP_PROXY: 'http://proxy.test:8080',
      HTTPS_PROXY: 'http://proxy.test:8080',
      NO_PROXY: 'localhost,*.test',
    });
  });

  it('gives way to one that the environment names, and is none when it is empty', () => {
    for (const name of ['HTTP_PROXY', 'https_proxy']) {
      const env = { [name]: 'http://other.test' };
      assert.equal(withProxy(env, settings), env);
    }
    const env = {};
    assert.equal(withProxy(env, { proxy: '', noProxy: ['x'] }), env);
  });
});
