import assert from 'node:assert/strict';
import type { NodeOf } from '../../../src/extension/tree-nodes.ts';
import { TreeRows } from '../../../src/extension/tree-rows.ts';
import type { ShareInfo } from '../../../src/peer/api.ts';
import { device, NETWORK, SHARE, share } from './samples.ts';

type Row = NodeOf<'person'> | NodeOf<'share'>;

const other = { ...share({ name: 'other' }), share: SHARE.replace('a', 'b') as ShareInfo['share'] };

/** People, and what each shares. */
class View {
  people: { letter: string; online: boolean; shares: readonly ShareInfo[] }[] = [];
  /** What was to be drawn anew since this was asked last, in words. */
  #drawn: string[] = [];
  readonly rows = new TreeRows<Row>({
    rowsUnder: (parent) => this.#rowsUnder(parent),
    item: (row) =>
      row.kind === 'person'
        ? { label: row.person.name, online: row.person.windows.length > 0 }
        : { label: row.share.name, sources: row.share.sources },
    redraw: (rows) => this.#drawn.push(...(rows?.map(nameOf) ?? ['all'])),
  });

  constructor(...people: View['people']) {
    this.people = people;
    this.open();
  }

  /** The editor shows every row. */
  open(): void {
    for (const person of this.rows.under(undefined)) this.rows.under(person);
  }

  drawn(): string[] {
    return this.#drawn.splice(0);
  }

  find(name: string): Row {
    const top = this.rows.under(undefined);
    const row = [...top, ...top.flatMap((person) => this.rows.under(person))].find((row) => nameOf(row) === name);
    assert.ok(row, name);
    return row;
  }

  /** Rows that were looked under. */
  readonly looked: string[] = [];

  #rowsUnder(parent: Row | undefined): Row[] {
    this.looked.push(parent ? nameOf(parent) : 'top');
    if (parent?.kind === 'person') return parent.person.shares.map((share) => ({ kind: 'share', share }));
    if (parent) return [];
    return this.people.map(({ letter, online, shares }) => ({
      kind: 'person',
      person: {
        network: NETWORK,
        device: device(letter),
        name: letter,
        self: false,
        windows: online ? [{ address: '192.0.2.1:1' } as never] : [],
        words: [],
        ambiguous: false,
        folded: false,
        member: undefined,
        may: [],
        shares,
      },
    }));
  }
}

function nameOf(row: Row): string {
  return row.kind === 'person' ? row.person.name : row.share.name;
}

describe('rows of a tree view', () => {
  const both = (...shares: ShareInfo[]): View =>
    new View({ letter: 'B', online: true, shares }, { letter: 'C', online: false, shares: [] });

  it('are drawn anew by nobody as long as they look the same', () => {
    const view = both(share(), other);
    view.people[0]!.shares = [share({ infohash: other.infohash }), other];
    view.rows.update();
    assert.deepEqual(view.drawn(), []);
  });

  it('stay the same objects when they are drawn anew, alone', () => {
    const view = both(share(), other);
    const before = [view.find('B'), view.find('report.pdf'), view.find('other')];
    view.people[0]!.shares = [share({ sources: 5 }), other];
    view.rows.update();
    assert.deepEqual(view.drawn(), ['report.pdf']);
    const after = [view.find('B'), view.find('report.pdf'), view.find('other')];
    for (const [index, row] of after.entries()) assert.equal(row, before[index]);
    assert.equal((after[1] as NodeOf<'share'>).share.sources, 5);
  });

  it('are drawn with the row that they are under', () => {
    const view = both(share(), other);
    view.people[0]!.online = false;
    view.people[0]!.shares = [share({ sources: 5 }), other];
    view.rows.update();
    assert.deepEqual(view.drawn(), ['B']);
  });

  it('come and go with the row that they are under', () => {
    const view = both(share());
    view.people[0]!.shares = [share(), other];
    view.rows.update();
    assert.deepEqual(view.drawn(), ['B']);
    view.people[0]!.shares = [other];
    view.rows.update();
    assert.deepEqual(view.drawn(), ['B']);
    assert.deepEqual(view.rows.under(view.find('B')).map(nameOf), ['other']);
  });

  it('are all drawn anew when there are others on top, or in another order', () => {
    const view = both(share());
    view.people.reverse();
    view.rows.update();
    assert.deepEqual(view.drawn(), ['all']);
    view.people.pop();
    view.rows.update();
    assert.deepEqual(view.drawn(), ['all']);
    view.rows.update();
    assert.deepEqual(view.drawn(), []);
  });

  it('are not looked at before the row that they are under is opened', () => {
    const view = both(share());
    view.people.push({ letter: 'D', online: true, shares: [other] });
    view.rows.update();
    assert.deepEqual(view.drawn(), ['all']);
    view.looked.length = 0;
    view.people[2]!.shares = [share({ owner: device('D') }), other];
    view.rows.update();
    assert.deepEqual(view.drawn(), []);
    assert.ok(!view.looked.includes('D'), 'nobody sees what is under it');
    view.open();
    assert.deepEqual(view.rows.under(view.find('D')).map(nameOf), ['report.pdf', 'other']);
    view.people[2]!.shares = [other];
    view.rows.update();
    assert.deepEqual(view.drawn(), ['D']);
  });

  it('are not mistaken for those of a member who claims the same ids', () => {
    const view = new View(
      { letter: 'B', online: true, shares: [share()] },
      { letter: 'C', online: true, shares: [share({ owner: device('C'), name: 'forged' })] },
    );
    assert.deepEqual(view.rows.under(view.find('B')).map(nameOf), ['report.pdf']);
    assert.deepEqual(view.rows.under(view.find('C')).map(nameOf), ['forged']);
  });
});
