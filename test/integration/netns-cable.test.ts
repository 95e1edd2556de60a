/** A cable is pulled for half a minute in the middle of a transfer. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { useLab } from './netns.ts';
import { progressOf } from './processes.ts';

const MIB = 2 ** 20;
const SIZE = 48 * MIB;
/** Milliseconds without a cable. */
const PULLED = 30_000;
/** Milliseconds from plugging in until it must go on. TCP alone, which doubles its pauses, takes about twenty seconds. */
const GOES_ON = 12_000;
/** What may be fetched twice: what was on its way, or in pieces that were not complete. */
const IN_FLIGHT = 8 * MIB;

describe('a cable that is pulled for 30 s in mid-transfer', function () {
  this.timeout(90_000);
  const lab = useLab();

  /** Resolves with the milliseconds from plugging in until the next byte came, and the bytes fetched beyond the file. */
  async function pull(side: 'sender' | 'receiver'): Promise<{ resumed: number; again: number }> {
    const segment = await lab.switch();
    const [a, b] = [await lab.host(), await lab.host()];
    const cables = {
      sender: await segment.plug(a, { ipv4: '10.8.0.1/24' }),
      receiver: await segment.plug(b, { ipv4: '10.8.0.2/24' }),
    };
    await cables.sender.limit('100mbit');
    const content = randomBytes(SIZE);
    await writeFile(a.path('file.bin'), content);
    const { invite } = await a.ok('home', 'network', 'create', 'team');
    await b.ok('home', 'network', 'join', String(invite));
    await a.peer('home');
    const { share } = await a.ok('home', 'share', a.path('file.bin'));
    const peer = await b.peer('home');
    await peer.event(({ event, peers }) => event === 'peers' && (peers as []).length > 0);
    const options = ['--home', b.path('home'), '--json', '--wait', '20', '--out', b.path('out')];
    const get = b.start(['get', String(share), ...options]);
    await get.says((stderr) => progressOf(stderr) > 8 * MIB);
    await cables[side].pull();
    // This is the time that is asked about, not a wait for something to happen.
    await sleep(PULLED);
    const before = progressOf(get.stderr);
    assert.ok(before < SIZE / 2, 'the cable was pulled too late');
    await cables[side].plugIn();
    const plugged = performance.now();
    await get.says((stderr) => progressOf(stderr) > before);
    const resumed = Math.round(performance.now() - plugged);
    const { code, lines, stderr } = await get.result;
    assert.equal(code, 0, stderr);
    assert.ok(content.equals(await readFile(String(lines[0]?.path))));
    return { resumed, again: Number(lines[0]?.fetched) - SIZE };
  }

  it('delays the transfer, and nothing is fetched twice', async function () {
    const [sender, receiver] = await Promise.all([pull('sender'), pull('receiver')]);
    this.test!.title +=
      `: went on ${sender.resumed} ms after the sender's, ${receiver.resumed} ms after the receiver's was back; fetched again ${sender.again} and ${receiver.again} bytes`;
    assert.ok(sender.resumed <= GOES_ON && receiver.resumed <= GOES_ON);
    assert.ok(sender.again <= IN_FLIGHT && receiver.again <= IN_FLIGHT);
  });
});
