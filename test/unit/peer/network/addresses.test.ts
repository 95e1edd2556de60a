import assert from 'node:assert/strict';
import {
  formatHostPort,
  isLoopbackHost,
  mayDial,
  normalizeHost,
  parseHostPort,
} from '../../../../src/peer/network/addresses.ts';

describe('addresses', () => {
  it('reads host:port in every usual form', () => {
    for (const [text, host, port] of [
      ['192.168.1.5:6881', '192.168.1.5', 6881],
      [' 10.0.0.1:1 ', '10.0.0.1', 1],
      ['[2001:db8::1]:65535', '2001:db8::1', 65535],
      ['[2001:DB8:0:0:0:0:0:1]:80', '2001:db8::1', 80],
      ['[::ffff:10.1.2.3]:80', '10.1.2.3', 80],
      ['Build-Box.lan:6881', 'build-box.lan', 6881],
    ] as const) {
      assert.deepEqual(parseHostPort(text), { host, port }, text);
    }
  });

  it('refuses what is no address', () => {
    for (const text of [
      '',
      'host',
      ':80',
      'host:0',
      'host:65536',
      'host:-1',
      'host:8x',
      'a b:80',
      '2001:db8::1:80',
      '[zz]:80',
      '[10.0.0.1:80',
      'user@host:80',
      'host/path:80',
      `${'a'.repeat(254)}:80`,
    ]) {
      assert.throws(() => parseHostPort(text), { code: 'usage' }, text);
    }
  });

  it('formats so that it can be read again', () => {
    for (const text of ['10.0.0.1:6881', '[2001:db8::1]:6881', 'host:80']) {
      assert.equal(formatHostPort(parseHostPort(text)), text);
    }
  });

  it('gives every address one spelling', () => {
    assert.equal(normalizeHost('::FFFF:127.0.0.1'), '127.0.0.1');
    assert.equal(normalizeHost('fe80::1%eth0'), 'fe80::1');
    assert.equal(normalizeHost('Example.ORG'), 'example.org');
  });

  it('knows loopback', () => {
    for (const host of ['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1', 'localhost']) {
      assert.equal(isLoopbackHost(host), true, host);
    }
    for (const host of ['128.0.0.1', '::2', '10.0.0.1', 'example.org']) assert.equal(isLoopbackHost(host), false, host);
  });

  it('never dials what cannot be a peer', () => {
    for (const host of ['0.0.0.0', '0.1.2.3', '224.0.0.1', '239.1.1.1', '255.255.255.255', '::', 'ff02::1']) {
      for (const origin of ['manual', 'lan', 'member', 'pex', 'tracker'] as const) {
        assert.equal(mayDial({ host, port: 6881 }, origin, '127.0.0.1'), false, `${host} ${origin}`);
      }
    }
    for (const port of [0, -1, 65536, 1.5]) assert.equal(mayDial({ host: '10.0.0.1', port }, 'manual'), false);
  });

  it('lets trackers and peers not point at our own machine, at metadata services or at names', () => {
    for (const origin of ['tracker', 'pex'] as const) {
      assert.equal(mayDial({ host: '127.0.0.1', port: 22 }, origin, '203.0.113.9'), false);
      assert.equal(mayDial({ host: '::1', port: 22 }, origin, 'tracker.example'), false);
      assert.equal(mayDial({ host: '::ffff:127.0.0.1', port: 22 }, origin, '203.0.113.9'), false);
      assert.equal(mayDial({ host: '169.254.169.254', port: 80 }, origin, '127.0.0.1'), false);
      assert.equal(mayDial({ host: '::ffff:169.254.169.254', port: 80 }, origin), false);
      assert.equal(mayDial({ host: 'fe80::1', port: 80 }, origin), false);
      assert.equal(mayDial({ host: 'intranet', port: 80 }, origin), false);
      for (const host of ['0.0.0.0', '0.1.2.3', '224.0.0.251', '255.255.255.255', '::', 'ff02::1', '::ffff:0.0.0.0'])
        assert.equal(mayDial({ host, port: 6881 }, origin, '127.0.0.1'), false, host);
      for (const port of [0, -1, 65_536, 1.5]) assert.equal(mayDial({ host: '10.0.0.1', port }, origin), false);
      assert.equal(mayDial({ host: '127.0.0.1', port: 6881 }, origin, '127.0.0.1'), true);
      assert.equal(mayDial({ host: '192.168.1.5', port: 6881 }, origin, '203.0.113.9'), true);
    }
    assert.equal(mayDial({ host: 'intranet', port: 80 }, 'manual'), true);
    assert.equal(mayDial({ host: '127.0.0.1', port: 80 }, 'manual'), true);
    assert.equal(mayDial({ host: '169.254.1.2', port: 6881 }, 'lan'), true);
  });
});
