/** What a member says of itself and its shares, on the terminal of somebody who lists them. */
import assert from 'node:assert/strict';
import { useCli } from './cli-build.ts';
import { LoneMember, newInstance } from './lone-member.ts';
import { shareEntry } from './network-peer.ts';
import { type Running, Stage } from './processes.ts';
import { push, signed } from './raw-catalogue.ts';

// As `safeText`: nothing of this may reach a terminal, but for line breaks of ours.
const STEERING = /[\p{Cc}\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/u;
const ESC = 'x\u001b]0;owned\u0007\u001b[2J\u009b31m\u202egpj.exe\r\nfake line';

describe('what a member says, on a terminal', function () {
  this.timeout(120_000);
  const cli = useCli();
  let stage: Stage;
  let mallory: LoneMember;

  beforeEach(() => {
    stage = new Stage(cli.main);
  });
  afterEach(async () => {
    mallory.dispose();
    await stage.dispose();
  });

  function assertHarmless(what: string, text: string): void {
    for (const line of text.split('\n')) assert.doesNotMatch(line, STEERING, `${what}: ${JSON.stringify(line)}`);
    assert.ok(!text.split('\n').some((line) => line.startsWith('fake line')), what);
  }

  it('steers none: not by messages, names, sections that are refused or handshakes', async () => {
    const { invite } = await stage.ok('home', 'network', 'create', 'team');
    const peer = await stage.peer('home', '--verbose');
    const port = Number(peer.ready.port);
    mallory = LoneMember.join(String(invite));
    const instance = newInstance();
    const raw = await mallory.open(port, mallory.trust.controlInfoHash, instance);
    await raw.until(() => raw.wire.supports('pw_catalogue'));
    // A name in the handshake is cleaned; names in what is signed are refused, which is logged.
    raw.wire.sendExtendedHandshake({ v: ESC, p: 1, extra: new Map([['pw_name', Buffer.from(ESC)]]) });
    push(raw, signed(mallory, { instance, sequence: 1, name: ESC }));
    push(raw, signed(mallory, { instance, sequence: 2, shares: [shareEntry(ESC)] }));
    push(raw, signed(mallory, { instance, sequence: 3, shares: [shareEntry('a', { path: ESC })] }));
    const shown = shareEntry('plan.txt', {
      message: ESC,
      size: Number.MAX_SAFE_INTEGER,
      time: Number.MAX_SAFE_INTEGER,
    });
    push(raw, signed(mallory, { instance, sequence: 4, shares: [shown] }));
    await peer.event(({ event, shares }) => event === 'shares' && JSON.stringify(shares).includes('plan.txt'));
    await peer.says((text) => text.split('was refused').length > 3);

    // The last one waits for metadata that nobody has, until it is ended.
    const commands = [
      ['shares'],
      ['peers'],
      ['network', 'list'],
      ['get', 'x', '--wait', '1'],
      ['get', 'plan.txt', '--wait', '1'],
    ];
    for (const command of commands) {
      for (const options of [['--verbose'], ['--json']]) {
        const running: Running = stage.start(['--home', stage.path('home'), ...options, ...command], {
          timeout: 40_000,
        });
        const { stdout, stderr } = await running.result;
        assertHarmless(`${[...command, ...options].join(' ')} on stdout`, stdout);
        assertHarmless(`${[...command, ...options].join(' ')} on stderr`, stderr);
      }
    }
    const { stdout, stderr } = await peer.end();
    assertHarmless('the peer on stdout', stdout);
    assertHarmless('the peer on stderr', stderr);
  });
});
