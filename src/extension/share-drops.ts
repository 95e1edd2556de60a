import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import nodePath from 'node:path';
import { PeerwireError } from '../common/errors.ts';
import type { Reporter } from './reporter.ts';
import type { Translate } from './translate.ts';
import type { TreeNode } from './tree-nodes.ts';
import { vscode } from './vscode.ts';

const URI_LIST = 'text/uri-list';
/** Bytes: what is dropped from another machine arrives in memory as a whole. */
const LARGEST_UPLOAD = 256 * 1024 * 1024;

/** Shares what is dropped onto the view: items of the explorer, tabs, and files of the desktop. */
export class ShareDrops implements vscode.TreeDragAndDropController<TreeNode> {
  readonly dropMimeTypes = [URI_LIST, 'files'];
  readonly dragMimeTypes = [];
  readonly #share: (uris: readonly vscode.Uri[]) => Promise<unknown>;
  readonly #uploads: string;
  readonly #report: Reporter;
  readonly #t: Translate;

  /** `uploads`: folder for files that are dropped from a machine whose disk cannot be read here. */
  constructor(
    share: (uris: readonly vscode.Uri[]) => Promise<unknown>,
    uploads: string,
    report: Reporter,
    t: Translate,
  ) {
    this.#share = share;
    this.#uploads = uploads;
    this.#report = report;
    this.#t = t;
  }

  async handleDrop(_target: TreeNode | undefined, data: vscode.DataTransfer): Promise<void> {
    try {
      const uris = await this.#dropped(data);
      if (uris.length > 0) await this.#share(uris);
    } catch (error) {
      await this.#report.error(error);
    }
  }

  async #dropped(data: vscode.DataTransfer): Promise<vscode.Uri[]> {
    const list = await data.get(URI_LIST)?.asString();
    const uris = (list ?? '')
      .split(/\r?\n/)
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => vscode.Uri.parse(line));
    if (uris.length > 0) return uris;
    const files: vscode.DataTransferFile[] = [];
    for (const [, item] of data) {
      const file = item.asFile();
      if (file !== undefined) files.push(file);
    }
    return Promise.all(files.map((file) => this.#onDisk(file)));
  }

  /** In a browser or a remote window the file is on another machine: a copy is shared. */
  async #onDisk(file: vscode.DataTransferFile): Promise<vscode.Uri> {
    if (file.uri?.scheme === 'file') return file.uri;
    const bytes = await file.data();
    if (bytes.length > LARGEST_UPLOAD) {
      throw new PeerwireError(
        'unsupported',
        this.#t('“{0}” is too large to drop from another machine. Copy it into the workspace first.', file.name),
      );
    }
    await mkdir(this.#uploads, { recursive: true });
    const folder = await mkdtemp(nodePath.join(this.#uploads, 'drop-'));
    const path = nodePath.join(folder, nodePath.basename(file.name));
    await writeFile(path, bytes);
    return vscode.Uri.file(path);
  }
}
