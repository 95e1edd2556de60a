import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { nodeHttpGet } from '../../../src/transport/http-get.ts';
import {
  addressGroup,
  isLinkLocal,
  isLoopback,
  isUnreachable,
  plainAddress,
} from '../../../src/transport/ip-address.ts';
import { PendingSockets } from '../../../src/transport/pending-sockets.ts';
import { checkTrackerUrl } from '../../../src/transport/tracker-url.ts';

describe('addresses', () => {
  it('have one spelling', () => {
    for (const [text, plain] of [
      ['192.0.2.1', '192.0.2.1'],
      ['::ffff:192.0.2.1', '192.0.2.1'],
      ['::FFFF:c000:201', '192.0.2.1'],
      ['2001:DB8:0:0::1', '2001:db8::1'],
      ['fe80::1%eth0', 'fe80::1'],
      ['tracker.test', 'tracker.test'],
    ] as const) {
      assert.equal(plainAddress(text), plain);
    }
  });

  it('belong to the group that one stranger can own', () => {
    assert.equal(addressGroup('::ffff:192.0.2.1'), addressGroup('192.0.2.1'));
    assert.notEqual(addressGroup('192.0.2.1'), addressGroup('192.0.2.2'));
    assert.equal(addressGroup('2001:db8:1:2::1'), addressGroup('2001:db8:1:2:ffff:ffff:ffff:ffff'));
    assert.notEqual(addressGroup('2001:db8:1:2::1'), addressGroup('2001:db8:1:3::1'));
    assert.equal(addressGroup('2001:db8::1'), addressGroup('2001:db8::2'));
  });

  it('are known by kind, in any spelling', () => {
    for (const address of ['127.0.0.1', '127.255.0.9', '::1', '::ffff:127.0.0.1', '::ffff:7f00:1']) {
      assert.ok(isLoopback(address), address);
    }
    for (const address of ['128.0.0.1', '::2', 'localhost', '']) assert.ok(!isLoopback(address), address);
    for (const address of ['169.254.169.254', 'fe80::1', '::ffff:169.254.0.1'])
      assert.ok(isLinkLocal(address), address);
    for (const address of ['0.0.0.0', '0.1.2.3', '224.0.0.1', '255.255.255.255', '240.0.0.1', '::', 'ff02::1']) {
      assert.ok(isUnreachable(address), address);
    }
    for (const address of ['10.0.0.1', '192.168.1.1', '8.8.8.8', 'fd00::1', '2001:db8::1']) {
      assert.ok(!isLoopback(address) && !isLinkLocal(address) && !isUnreachable(address), address);
    }
  });
});

describe('pending sockets', () => {
  it('are counted in all and by address group, and leave once', () => {
    const pending = new PendingSockets(3, 2);
    const leave = pending.enter('192.0.2.1');
    assert.ok(leave && pending.enter('::ffff:192.0.2.1'));
    assert.equal(pending.enter('192.0.2.1'), undefined, 'two from one address');
    assert.ok(pending.enter('192.0.2.2'));
    assert.equal(pending.enter('192.0.2.3'), undefined, 'three in all');
    leave();
    leave();
    assert.equal(pending.count, 2);
    assert.ok(pending.enter('192.0.2.1'));
    assert.equal(pending.enter('192.0.2.4'), undefined);
  });
});

describe('tracker URLs', () => {
  it('of trackers are accepted', () => {
    for (const url of [
      'http://tracker.example.test/announce',
      'https://tracker.example.test:8443/a/b/announce?passkey=x',
      'udp://tracker.example.test:6969',
      'udp://10.0.0.1:6969/announce',
      'http://192.168.1.2:6969/announce',
      'http://[fd00::1]:6969/announce',
      'http://127.0.0.1:6969/announce',
      'http://localhost:6969/announce',
      'http://[::1]:6969/announce',
    ]) {
      assert.equal(checkTrackerUrl(url).href, url);
    }
  });

  const refused: [string, string][] = [
    ['not a URL', 'tracker'],
    ['a file', 'file:///etc/passwd'],
    ['another scheme', 'ftp://tracker.test/announce'],
    ['a script', 'javascript:alert(1)'],
    ['WebTorrent', 'wss://tracker.test'],
    ['a user name', 'http://user@tracker.test/announce'],
    ['a password', 'http://:secret@tracker.test/announce'],
    ['a fragment', 'http://tracker.test/announce#x'],
    ['no port for UDP', 'udp://tracker.test/announce'],
    ['port 0', 'http://tracker.test:0/announce'],
    ['a service of this machine', 'http://127.0.0.1:9200/_cluster/settings'],
    ['… by its name', 'http://localhost:2375/containers/create'],
    ['… by a name below it', 'http://x.localhost/'],
    ['… by another spelling', 'http://0x7f.1/'],
    ['… by a number', 'http://2130706433/'],
    ['… in IPv6', 'http://[::1]/'],
    ['… mapped into IPv6', 'http://[::ffff:127.0.0.1]/'],
    ['… with a query', 'http://127.0.0.1/announce?x=1'],
    ['… below /announce', 'http://127.0.0.1/x/announce'],
    ['a metadata service', 'http://169.254.169.254/latest/meta-data/'],
    ['a metadata service in IPv6', 'http://[fe80::a9fe:a9fe]/'],
    ['no host in particular', 'http://0.0.0.0/announce'],
    ['a multicast address', 'udp://239.192.152.143:6771'],
    ['a look-alike name', 'http://trаcker.test/announce'],
    ['a look-alike name, encoded', 'http://xn--trcker-6ve.test/announce'],
    ['a hidden character', 'http://tracker.test/\u202eannounce'],
  ];
  for (const [name, url] of refused) {
    it(`are refused: ${name}`, () => {
      assert.throws(() => checkTrackerUrl(url), { code: 'unsupported' });
    });
  }

  it('lead to nothing in private networks but what a tracker answers, nor do names', async () => {
    for (const host of ['192.168.1.1', '10.1.2.3', '172.31.0.1', '100.64.0.1', '[fd00::1]', '[::ffff:192.168.1.1]']) {
      for (const what of [
        '',
        '/',
        '/setup.cgi?todo=reboot',
        '/announce/../reboot',
        '/reboot?x=/announce',
        '/announced',
      ])
        assert.throws(() => checkTrackerUrl(`http://${host}${what}`), { code: 'unsupported' }, `${host}${what}`);
      for (const what of ['/announce', '/a1b2/announce', '/announce.php?passkey=x'])
        assert.doesNotThrow(() => checkTrackerUrl(`http://${host}:8080${what}`), `${host}${what}`);
    }
    // The internet's trackers are where they are.
    for (const url of ['http://172.32.0.1/track', 'http://tracker.example.test/track.php?id=1']) checkTrackerUrl(url);
    const server = createServer((_request, response) => response.end('reached'));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    try {
      const { port } = server.address() as AddressInfo;
      const options = { maxBytes: 1000, timeout: 5000, allowLocal: true };
      for (const [address, code] of [
        ['10.0.0.9', 'unsupported'],
        ['127.0.0.1', undefined],
      ] as const) {
        const addresses = [{ address, family: 4 }];
        const answer = nodeHttpGet(`http://tracker.test:${port}/reboot`, {
          ...options,
          addresses,
          allowPrivate: false,
        });
        if (code) await assert.rejects(answer, { code });
        else assert.equal(Buffer.from((await answer).body).toString(), 'reached');
      }
    } finally {
      server.close();
    }
  });
});
