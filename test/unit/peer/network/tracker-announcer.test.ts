import assert from 'node:assert/strict';
import { PeerwireError } from '../../../../src/common/errors.ts';
import { TrackerAnnouncer, type TrackerAnnouncerOptions } from '../../../../src/peer/network/tracker-announcer.ts';
import type { AnnounceRequest, AnnounceResult } from '../../../../src/transport/tracker-client.ts';
import { TrackerRefusal } from '../../../../src/transport/tracker-error.ts';
import { VirtualClock } from '../../../sim/virtual-clock.ts';
import { advance } from './support.ts';

const WEEKS = [Buffer.alloc(20, 1), Buffer.alloc(20, 2)];
const URL_A = 'http://tracker-a.example:6969/announce';
const URL_B = 'http://127.0.0.1:6969/announce';
const MINUTE = 60_000;

interface Heard extends AnnounceRequest {
  readonly at: number;
}

describe('TrackerAnnouncer', () => {
  let clock: VirtualClock;
  let heard: Heard[];
  let answer: (request: AnnounceRequest) => Promise<AnnounceResult>;
  let lonely: boolean;
  let trackers: string[];
  let peers: [string, string][];
  let news: string[];
  let warnings: string[];
  let hashes: Buffer[];
  let announcer: TrackerAnnouncer;

  beforeEach(() => {
    clock = new VirtualClock();
    heard = [];
    lonely = true;
    trackers = [URL_A];
    peers = [];
    news = [];
    warnings = [];
    hashes = WEEKS;
    answer = () => Promise.resolve({ interval: 10 * MINUTE, peers: [] });
    const options: TrackerAnnouncerOptions = {
      trackers: () => trackers,
      infoHashes: () => hashes,
      peerId: Buffer.alloc(20),
      port: () => 6881,
      lonely: () => lonely,
      announce: (request) => {
        heard.push({ ...request, at: clock.now() });
        return answer(request);
      },
      onPeers: (found, tracker, isNew) => {
        peers.push(...found.map(({ host }): [string, string] => [host, tracker]));
        news.push(...found.filter(isNew).map(({ host }) => host));
      },
      onWarning: (tracker, text) => warnings.push(`${tracker} ${text}`),
      clock,
    };
    announcer = new TrackerAnnouncer(options);
  });

  afterEach(() => announcer.dispose());

  const times = (url: string): number[] =>
    heard.filter((request) => request.url === url && request.infoHash20 === WEEKS[0]).map(({ at }) => at);

  it('knows how long a tracker took to answer, and how far apart the clocks are', async () => {
    answer = () =>
      new Promise((resolve) => {
        clock.setTimeout(() => resolve({ interval: MINUTE, peers: [], date: clock.wallTime() - 7 * MINUTE }), 40);
      });
    announcer.start();
    await advance(clock, 100);
    assert.deepEqual(announcer.status(), [{ url: URL_A, ok: true, delay: 40, ahead: -7 * MINUTE }]);
    answer = () => Promise.resolve({ interval: MINUTE, peers: [] });
    await advance(clock, 5000);
    assert.deepEqual(announcer.status(), [{ url: URL_A, ok: true, delay: 0 }]);
  });

  it('says again what the tracker calls it, the last time when it leaves', async () => {
    const id = Buffer.from('id');
    answer = () => Promise.resolve({ interval: MINUTE, peers: [], ...(heard.length < 3 ? { trackerId: id } : {}) });
    announcer.start();
    await advance(clock, 10_000);
    assert.deepEqual(
      heard.map(({ trackerId }) => trackerId),
      heard.map((_, position) => (position < 2 ? undefined : id)),
    );
    const before = heard.length;
    await announcer.stop();
    assert.ok(heard.length > before);
    for (const { event, trackerId } of heard.slice(before)) assert.deepEqual([event, trackerId], ['stopped', id]);
  });

  it('tells where the tracker sees this peer', async () => {
    answer = () => Promise.resolve({ interval: MINUTE, peers: [], externalAddress: '203.0.113.5' });
    announcer.start();
    await advance(clock, 100);
    assert.equal(announcer.status()[0]?.seenAs, '203.0.113.5');
  });

  it('asks one that refuses no sooner than it says, and one that says never only when asked to', async () => {
    let retryIn = 20 * MINUTE;
    answer = () => Promise.reject(new TrackerRefusal('Not now.', retryIn));
    announcer.start();
    await advance(clock, 60 * MINUTE);
    assert.deepEqual(
      times(URL_A).map((time) => time / MINUTE),
      [0, 20, 40, 60],
    );
    assert.match(String(announcer.status()[0]?.remedy), /whoever runs the tracker/);
    retryIn = Number.POSITIVE_INFINITY;
    await advance(clock, 20 * MINUTE);
    const asked = times(URL_A).length;
    await advance(clock, 24 * 60 * MINUTE);
    assert.equal(times(URL_A).length, asked);
    announcer.retryNow();
    await advance(clock, 1000);
    assert.equal(times(URL_A).length, asked + 1);
  });

  it('announces under both weeks, as started at first', async () => {
    announcer.start();
    await advance(clock, 2500);
    assert.deepEqual(
      heard.map(({ infoHash20, event }) => [infoHash20[0], event]),
      [
        [1, 'started'],
        [2, 'started'],
        [1, undefined],
        [2, undefined],
      ],
    );
    assert.ok(heard.every(({ port, left }) => port === 6881 && left === 1));
    hashes = [Buffer.alloc(20, 2), Buffer.alloc(20, 3)];
    await advance(clock, 5000);
    assert.deepEqual(
      heard.slice(4).map(({ infoHash20, event }) => [infoHash20[0], event]),
      [
        [2, undefined],
        [3, 'started'],
      ],
    );
  });

  it('asks often while nobody is connected, then as the tracker wishes', async () => {
    announcer.start();
    await advance(clock, 60 * MINUTE);
    const at = times(URL_A).map((time) => time / 1000);
    assert.deepEqual(at.slice(0, 7), [0, 2, 7, 22, 52, 82, 112]);
    // Whoever comes is heard of within a minute.
    for (const [i, time] of at.entries()) assert.ok(time - (at[i - 1] ?? 0) <= 45, `${time} s`);
    assert.ok(at.length < 90, `${at.length} announces in an hour`);
    lonely = false;
    await advance(clock, 60 * MINUTE);
    const last = times(URL_A).slice(-2);
    assert.equal((last[1] ?? 0) - (last[0] ?? 0), 10 * MINUTE);
  });

  it('asks no more often than the tracker allows, but for the first minute', async () => {
    answer = () => Promise.resolve({ interval: 30 * MINUTE, minInterval: 10 * MINUTE, peers: [] });
    announcer.start();
    await advance(clock, 60 * MINUTE);
    const early = [0, 2000, 7000, 22_000, 52_000];
    const later = [1, 2, 3, 4, 5].map((n) => 52_000 + n * 10 * MINUTE);
    assert.deepEqual(times(URL_A), [...early, ...later]);
  });

  it('is not in a hurry again and again, though the network keeps changing', async () => {
    answer = () => Promise.resolve({ interval: 30 * MINUTE, minInterval: 15 * MINUTE, peers: [] });
    announcer.start();
    for (let minute = 0; minute < 60; minute++) {
      announcer.retryNow();
      await advance(clock, MINUTE);
    }
    const at = times(URL_A);
    for (const time of at) {
      const within = at.filter((other) => other > time - 10 * MINUTE && other <= time).length;
      assert.ok(within <= 9, `${within} announces in ten minutes`);
    }
    assert.ok(at.some((time) => time >= 45 * MINUTE));
  });

  it('hurries no more where that was refused', async () => {
    answer = () =>
      heard.length > 2
        ? Promise.reject(new TrackerRefusal('Not so fast.'))
        : Promise.resolve({ interval: 30 * MINUTE, minInterval: 15 * MINUTE, peers: [] });
    announcer.start();
    await advance(clock, 10_000);
    assert.deepEqual(times(URL_A), [0, 2000]);
    answer = () => Promise.resolve({ interval: 30 * MINUTE, minInterval: 15 * MINUTE, peers: [] });
    announcer.retryNow();
    await advance(clock, 40 * MINUTE);
    assert.deepEqual(times(URL_A), [0, 2000, 2000 + 15 * MINUTE, 2000 + 30 * MINUTE]);
  });

  it('passes on a warning once, and tells it as long as it holds', async () => {
    let warning = 'Moving soon.';
    answer = () => Promise.resolve({ interval: MINUTE, peers: [], ...(warning === '' ? {} : { warning }) });
    announcer.start();
    await advance(clock, 10 * MINUTE);
    assert.deepEqual(warnings, ['tracker-a.example Moving soon.']);
    assert.deepEqual(announcer.status()[0]?.problem, 'tracker-a.example: Moving soon.');
    assert.equal(announcer.failing, false);
    warning = '';
    await advance(clock, MINUTE);
    assert.equal(announcer.status()[0]?.problem, undefined);
    warning = 'Moved.';
    await advance(clock, MINUTE);
    assert.deepEqual(warnings.slice(1), ['tracker-a.example Moved.']);
  });

  it('has one announce of an infohash under way at a tracker, and one timer, however many never answer', async () => {
    trackers = Array.from({ length: 20 }, (_, n) => `http://dead-${n}.example/announce`);
    let running = 0;
    let most = 0;
    answer = () => {
      most = Math.max(most, ++running);
      // As the clients do, whatever keeps them waiting: a name server, a connection, or bytes that drip.
      return new Promise((_, reject) => {
        clock.setTimeout(() => {
          running--;
          reject(new PeerwireError('timeout', 'no answer'));
        }, 15_000);
      });
    };
    announcer.start();
    for (let minute = 0; minute < 60; minute++) {
      await advance(clock, MINUTE);
      announcer.retryNow();
    }
    assert.equal(most, 16 * WEEKS.length);
    assert.ok(clock.pending <= 16 * (WEEKS.length + 1), `${clock.pending} timers`);
    announcer.dispose();
    await advance(clock, 15_000);
    assert.equal(clock.pending, 0);
  });

  it('forgets infohashes of weeks that are over', async () => {
    announcer.start();
    for (let week = 1; week <= 10; week++) {
      hashes = [Buffer.alloc(20, week), Buffer.alloc(20, week + 1)];
      await advance(clock, 10 * MINUTE);
    }
    heard = [];
    await announcer.stop();
    assert.deepEqual(
      heard.map(({ infoHash20 }) => infoHash20[0]),
      [10, 11],
    );
  });

  it('asks one that fails again soon, as long as nobody is connected', async () => {
    answer = () => Promise.reject(new Error('down'));
    announcer.start();
    await advance(clock, 60 * MINUTE);
    const pause = (): number => {
      const [one = 0, two = 0] = times(URL_A).slice(-2);
      return two - one;
    };
    assert.equal(pause(), 45_000);
    lonely = false;
    await advance(clock, 60 * MINUTE);
    assert.equal(pause(), 5 * MINUTE);
  });

  it('keeps to half a minute and half an hour, whatever the tracker wishes', async () => {
    lonely = false;
    answer = () => Promise.resolve({ interval: 1000, peers: [] });
    announcer.start();
    await advance(clock, 100_000);
    assert.deepEqual(times(URL_A), [0, 30_000, 60_000, 90_000]);
    answer = () => Promise.resolve({ interval: 24 * 60 * MINUTE, peers: [] });
    await advance(clock, 60 * MINUTE);
    const last = times(URL_A).slice(-2);
    assert.equal((last[1] ?? 0) - (last[0] ?? 0), 30 * MINUTE);
  });

  it('asks at once when told to, though not in a burst', async () => {
    lonely = false;
    announcer.start();
    await advance(clock, 5000);
    for (let i = 0; i < 10; i++) announcer.retryNow();
    await advance(clock, 100);
    assert.deepEqual(times(URL_A), [0, 5000]);
  });

  it('gives what each tracker answers, and says which one did', async () => {
    trackers = [URL_A, URL_B];
    answer = ({ url }) =>
      Promise.resolve({ interval: MINUTE, peers: [{ host: url === URL_A ? '10.0.0.1' : '127.0.0.1', port: 1 }] });
    announcer.start();
    await advance(clock, 100);
    assert.deepEqual(
      new Set(peers.map((pair) => pair.join(' '))),
      new Set(['10.0.0.1 tracker-a.example', '127.0.0.1 127.0.0.1']),
    );
  });

  it('tells which addresses the tracker did not list before', async () => {
    let at = ['10.0.0.1'];
    answer = () => Promise.resolve({ interval: MINUTE, peers: at.map((host) => ({ host, port: 1 })) });
    hashes = WEEKS.slice(0, 1);
    announcer.start();
    await advance(clock, 1000);
    at = ['10.0.0.1', '10.0.0.2'];
    await advance(clock, 2000);
    at = ['10.0.0.2'];
    await advance(clock, 5000);
    at = ['10.0.0.1', '10.0.0.2'];
    await advance(clock, 15_000);
    assert.deepEqual(news, ['10.0.0.1', '10.0.0.2', '10.0.0.1']);
  });

  it('backs off from a tracker that fails, and tells why until one answers', async () => {
    let states = 0;
    announcer.onStateChanged(() => states++);
    lonely = false;
    answer = () => Promise.reject(new PeerwireError('connection', 'refused'));
    announcer.start();
    await advance(clock, 60 * MINUTE);
    const gaps = times(URL_A).map((time, i, all) => time - (all[i - 1] ?? 0));
    assert.deepEqual(gaps.slice(1, 6), [2000, 4000, 8000, 16_000, 32_000]);
    assert.equal(gaps.at(-1), 5 * MINUTE);
    assert.equal(announcer.problem, 'tracker-a.example: refused');
    assert.equal(announcer.failing, true);
    assert.deepEqual(announcer.status(), [{ url: URL_A, ok: false, problem: 'tracker-a.example: refused' }]);
    const before = states;
    answer = () => Promise.resolve({ interval: MINUTE, peers: [] });
    await advance(clock, 6 * MINUTE);
    assert.equal(announcer.problem, undefined);
    assert.equal(announcer.failing, false);
    assert.equal(states, before + 1);
  });

  it('has no problem while one of several trackers works', async () => {
    trackers = [URL_A, URL_B];
    answer = ({ url }) =>
      url === URL_A ? Promise.reject(new Error('down')) : Promise.resolve({ interval: MINUTE, peers: [] });
    announcer.start();
    await advance(clock, 1000);
    assert.equal(announcer.problem, undefined);
    assert.equal(announcer.failing, false);
  });

  it('takes over a changed list of trackers', async () => {
    lonely = false;
    announcer.start();
    await advance(clock, 3000);
    trackers = [URL_B];
    announcer.retryNow();
    await advance(clock, 2 * MINUTE);
    assert.deepEqual(times(URL_A), [0]);
    assert.equal(times(URL_B)[0], 3000);
  });

  it('says good-bye to a tracker that the network has no more, and does not wait for it', async () => {
    trackers = [URL_A, URL_B];
    announcer.start();
    await advance(clock, 100);
    heard.length = 0;
    trackers = [URL_B];
    answer = (request) =>
      request.url === URL_A ? new Promise(() => {}) : Promise.resolve({ interval: 10 * MINUTE, peers: [] });
    announcer.retryNow();
    await advance(clock, 2500);
    const told = (url: string): unknown[] => heard.filter((request) => request.url === url).map(({ event }) => event);
    assert.deepEqual(told(URL_A), ['stopped', 'stopped']);
    assert.deepEqual(told(URL_B), [undefined, undefined]);
    assert.deepEqual(
      announcer.status().map(({ url }) => url),
      [URL_B],
    );
  });

  it('says good-bye to trackers that know it, and waits a second at most', async () => {
    trackers = [URL_A, URL_B];
    answer = ({ url }) =>
      url === URL_A ? Promise.resolve({ interval: MINUTE, peers: [] }) : Promise.reject(new Error('down'));
    announcer.start();
    await advance(clock, 1000);
    heard = [];
    answer = ({ signal }) =>
      new Promise((_, reject) => signal?.addEventListener('abort', () => reject(new Error('aborted'))));
    let stopped = false;
    const stop = announcer.stop().then(() => {
      stopped = true;
    });
    await advance(clock, 900);
    assert.equal(stopped, false);
    await advance(clock, 200);
    await stop;
    assert.deepEqual(
      heard.map(({ url, event }) => [url, event]),
      [
        [URL_A, 'stopped'],
        [URL_A, 'stopped'],
      ],
    );
    assert.equal(clock.pending, 0);
  });

  it('leaves no timer behind', async () => {
    announcer.start();
    await advance(clock, 1000);
    announcer.dispose();
    assert.equal(clock.pending, 0);
    announcer.retryNow();
    assert.equal(clock.pending, 0);
  });
});
