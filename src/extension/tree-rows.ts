import { rowId, type TreeNode } from './tree-nodes.ts';

export interface TreeRowsOptions<R> {
  /** The rows under one, or on top, as they are now; none under a row that finds them only when it is opened. */
  readonly rowsUnder: (parent: R | undefined) => readonly R[];
  /** All that is to be seen of a row itself. */
  readonly item: (row: R) => object;
  /** Draws these rows and all under them anew; undefined: the whole view. */
  readonly redraw: (rows: R[] | undefined) => void;
}

interface KnownRow<R> {
  readonly row: R;
  readonly look: string;
}

/**
 * The rows of a tree view, as the editor has them. It knows a row by its object, so that stays the same while what it stands
 * for changes; then only what looks otherwise is drawn anew: a row that is, while the mouse button is down on it, loses the click.
 */
export class TreeRows<R extends TreeNode> {
  readonly #options: TreeRowsOptions<R>;
  #byId = new Map<string, KnownRow<R>>();
  #under = new Map<R | undefined, readonly R[]>();

  constructor(options: TreeRowsOptions<R>) {
    this.#options = options;
  }

  /** What the editor asks for: from now on it hears of changes there. */
  under(parent: R | undefined): R[] {
    let rows = this.#under.get(parent);
    if (!rows) {
      rows = this.#options.rowsUnder(parent).map((found) => this.#keep(found, this.#byId).row);
      this.#under.set(parent, rows);
    }
    return [...rows];
  }

  /** Looks what there is now, and has drawn anew what changed. */
  update(): void {
    const { rowsUnder, redraw } = this.#options;
    const byId = new Map<string, KnownRow<R>>();
    const under = new Map<R | undefined, readonly R[]>();
    const changed: R[] = [];
    // True when the rows under it are others than before.
    const visit = (parent: R | undefined): boolean => {
      const before = this.#under.get(parent);
      // Of thousands of rows few are ever opened.
      if (!before) return false;
      const rows = rowsUnder(parent).map((found) => {
        const { row, changed: isChanged } = this.#keep(found, byId);
        const first = changed.length;
        // With it is drawn whatever changed under it.
        if (visit(row) || isChanged) changed.splice(first, Number.POSITIVE_INFINITY, row);
        return row;
      });
      under.set(parent, rows);
      return rows.length !== before.length || rows.some((row, position) => row !== before[position]);
    };
    const isWhole = visit(undefined);
    this.#byId = byId;
    this.#under = under;
    if (isWhole) redraw(undefined);
    else if (changed.length > 0) redraw(changed);
  }

  /** The row that the editor has, if it has it, brought up to date. */
  #keep(found: R, byId: Map<string, KnownRow<R>>): { row: R; changed: boolean } {
    const id = rowId(found);
    const known = this.#byId.get(id);
    const row = known ? Object.assign(known.row, found) : found;
    const look = JSON.stringify(this.#options.item(row));
    byId.set(id, { row, look });
    return { row, changed: look !== known?.look };
  }
}
