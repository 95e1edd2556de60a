import assert from 'node:assert/strict';
import { findInvite } from '../../../src/extension/invite-text.ts';
import { isAddress, isTrackerUrl, parseLimit } from '../../../src/extension/typed-input.ts';

const CODE = `PW1-${'aB3_-'.repeat(20)}`;
const LINK = `vscode://peerwire.peerwire/join?code=${CODE}`;

describe('text that people type and paste', () => {
  it('has an invite in it, however a chat delivers it', () => {
    assert.equal(findInvite(LINK), LINK);
    assert.equal(findInvite(`  "${LINK}"\n`), LINK);
    assert.equal(findInvite(`Join us: <${LINK}> see you`), LINK);
    assert.equal(findInvite(`[join](${LINK})`), LINK);
    assert.equal(findInvite(LINK.replace('vscode:', 'vscode-insiders:')), LINK.replace('vscode:', 'vscode-insiders:'));
    assert.equal(findInvite(`here: ${CODE}.`), CODE);
  });

  it('has an invite in it that a mail program broke into lines', () => {
    const broken = `${LINK.slice(0, 40)}\r\n  ${LINK.slice(40, 90)}\n${LINK.slice(90)}`;
    assert.equal(findInvite(broken), LINK);
  });

  it('has no invite in it', () => {
    for (const text of ['', 'hello', 'PW1-short', 'https://example.org/join?code=1', 'x'.repeat(20_000)]) {
      assert.equal(findInvite(text), undefined, text.slice(0, 20));
    }
  });

  it('is an address with a port', () => {
    for (const text of ['192.168.1.20:51413', 'host.example:1', '[fe80::1]:65535'])
      assert.equal(isAddress(text), true, text);
    for (const text of ['', 'host', 'host:0', 'host:65536', 'fe80::1:80', 'a b:1', 'http://x:1', 'host:1x']) {
      assert.equal(isAddress(text), false, text);
    }
  });

  it('is a tracker', () => {
    for (const text of ['http://t:6969/announce', 'HTTPS://t/a', 'udp://t:1'])
      assert.equal(isTrackerUrl(text), true, text);
    for (const text of ['', 'ftp://t', 'http:///x', 'javascript:alert(1)', 'ws://t'])
      assert.equal(isTrackerUrl(text), false);
  });

  it('is a limit in megabytes per second', () => {
    assert.deepEqual(['', '0', '2.5', '2,5', ' 10 '].map(parseLimit), [0, 0, 2_500_000, 2_500_000, 10_000_000]);
    assert.deepEqual(['-1', 'x', '1e9', 'Infinity'].map(parseLimit), [undefined, undefined, undefined, undefined]);
  });
});
