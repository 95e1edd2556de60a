import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import type { Info } from '../../../src/bittorrent/metainfo.ts';
import { PeerwireError } from '../../../src/common/errors.ts';
import { Emitter } from '../../../src/common/event.ts';
import { fetchVersion } from '../../../src/peer/fetch-version.ts';
import { seededRandom } from '../../sim/seeded-random.ts';
import { makeVersion } from '../../sim/test-version.ts';

const { info, layers } = makeVersion([100_000], 16_384, seededRandom(1));

class TestSwarm {
  info: Info | undefined;
  readonly infoEmitter = new Emitter<Info>();
  readonly problemEmitter = new Emitter<PeerwireError>();
  readonly disposedEmitter = new Emitter<void>();
  readonly onInfo = this.infoEmitter.event;
  readonly onProblem = this.problemEmitter.event;
  readonly onDisposed = this.disposedEmitter.event;
  /** Of the layers that are being fetched. */
  signal: AbortSignal | undefined;
  deliver: (layers: Map<string, Buffer>) => void = () => {};

  /** Whether anybody listens for metadata, problems, the end. */
  heard(): boolean[] {
    return [this.infoEmitter.hasListeners, this.problemEmitter.hasListeners, this.disposedEmitter.hasListeners];
  }

  fetchLayers(signal: AbortSignal): Promise<Map<string, Buffer>> {
    this.signal = signal;
    return new Promise((resolve) => {
      this.deliver = resolve;
    });
  }
}

describe('fetchVersion', () => {
  let swarm: TestSwarm;
  beforeEach(() => {
    swarm = new TestSwarm();
  });

  it('waits for the metadata, then for the piece layers', async () => {
    const version = fetchVersion(swarm, new AbortController().signal);
    await turn();
    assert.equal(swarm.signal, undefined);
    swarm.infoEmitter.fire(info);
    await turn();
    swarm.deliver(new Map(layers));
    assert.deepEqual(await version, { info, layers: new Map(layers) });
  });

  const ends: [string, (swarm: TestSwarm, abort: AbortController) => void, string][] = [
    ['wrong', (of) => of.problemEmitter.fire(new PeerwireError('unsafe-path', 'A name leads out.')), 'unsafe-path'],
    ['closed', (of) => of.disposedEmitter.fire(), 'closed'],
    [
      'not wanted any more',
      (_, abort) => abort.abort(new PeerwireError('no-sources', 'Nobody answers.')),
      'no-sources',
    ],
  ];
  for (const [name, end, code] of ends) {
    it(`ends when it is ${name}, and so does what it waits for`, async () => {
      swarm.info = info;
      const abort = new AbortController();
      const rejected = assert.rejects(fetchVersion(swarm, abort.signal), { code });
      await turn();
      assert.equal(swarm.signal?.aborted, false);
      end(swarm, abort);
      await rejected;
      assert.equal(swarm.signal?.aborted, true);
      assert.deepEqual(swarm.heard(), [false, false, false]);
    });

    it(`ends when it is ${name} before there is metadata, and hears of none any more`, async () => {
      const abort = new AbortController();
      const rejected = assert.rejects(fetchVersion(swarm, abort.signal), { code });
      await turn();
      end(swarm, abort);
      await rejected;
      assert.deepEqual(swarm.heard(), [false, false, false]);
    });
  }
});
