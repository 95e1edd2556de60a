/**
 * Names that come from a stranger's torrent. They are refused, never rewritten, and by the rules of every operating
 * system at once: what one member can place, all can. The rules are those of reference/security.md §2; a few more are
 * explained where they stand.
 */
import { PeerwireError } from '../common/errors.ts';
import { atOnce, type Steps } from '../common/turns.ts';

/** Bytes of UTF-8 in one component: the limit of ext4, APFS (in characters there) and NTFS (likewise). */
export const MAX_COMPONENT_BYTES = 255;
/** Bytes of UTF-8 in a whole relative path with its separators: macOS takes 1024 for an absolute one. */
const MAX_PATH_BYTES = 1024;
/** Components in a path: keeps decoders of file trees shallow (libtorrent takes 100). */
export const MAX_PATH_DEPTH = 64;

const CONTROL = /[\p{Cc}\p{Zl}\p{Zp}]/u;
const BIDI = /\p{Bidi_Control}/u;
/** Variation selectors are left alone here: emoji and some ideographs need one. */
const INVISIBLE = /(?!\p{Variation_Selector})\p{Default_Ignorable_Code_Point}/u;
/** Rows of variation selectors carry hidden text. */
const HIDDEN_TEXT = /^\p{Variation_Selector}|\p{Variation_Selector}{2}/u;
/** Lone surrogates and noncharacters cannot be UTF-8; U+FFFD is what decoders put in place of bytes that are not. */
const NOT_UNICODE = /[\p{Cs}\p{Noncharacter_Code_Point}\uFFFD]/u;
/** U+F000–U+F0FF: SMB, WSL and Cygwin map these onto the very characters that Windows reserves. */
const STAND_IN = /[\uF000-\uF0FF]/;
const RESERVED_CHARACTER = /[/\\:<>"|?*]/;
const RESERVED_NAME = /^(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$|clock\$) *(?:\.|$)/i;
/** How those begin. */
const RESERVED_START = 'acnplACNPL';
/** Windows would open `GIT~1` as the short name of `.git` (CVE-2019-1352). */
const SHORT_NAME = /^(?=[^.]{1,8}(?:\.|$))[^.]*~[0-9]+(?:\.[^.]{0,3})?$/;
/** Printable ASCII without anything reserved, the last character neither dot nor space: only names are left to check. */
const PLAIN = /^[ !#-).0-9;=@A-Z[\]^_`a-z{}+,~-]*[!#-)0-9;=@A-Z[\]^_`a-z{}+,~-]$/;
const ASCII = /^[\x20-\x7e]*$/;

/** Throws 'unsafe-path' when a file or folder of this name could harm or be misread on any system. */
export function checkComponent(name: string): void {
  const problem = problemOf(name);
  if (problem !== undefined) throw unsafe(name, problem);
}

function problemOf(name: string): string | undefined {
  if (name === '') return 'a name must not be empty';
  if (name === '.' || name === '..') return 'it stands for another folder';
  if (name.length * 3 > MAX_COMPONENT_BYTES && Buffer.byteLength(name) > MAX_COMPONENT_BYTES) {
    return `names are limited to ${MAX_COMPONENT_BYTES} bytes`;
  }
  if (!PLAIN.test(name)) {
    if (NOT_UNICODE.test(name)) return 'it is not valid Unicode';
    if (CONTROL.test(name)) return 'it contains a control character';
    if (BIDI.test(name)) return 'it contains a character that changes the direction of text';
    if (INVISIBLE.test(name) || HIDDEN_TEXT.test(name)) return 'it contains invisible characters';
    if (STAND_IN.test(name)) return 'it contains private-use characters that stand for reserved ones';
    const reserved = RESERVED_CHARACTER.exec(name);
    if (reserved) return `the character ${reserved[0]} is reserved`;
    if (name.endsWith('.') || name.endsWith(' ')) return 'Windows drops a dot or space at the end of a name';
    if (name.normalize('NFC') !== name) return 'it is not in Unicode normal form C';
  }
  if (RESERVED_START.includes(name.charAt(0)) && RESERVED_NAME.test(name))
    return 'Windows reserves this name for a device';
  if (name.includes('~') && SHORT_NAME.test(name)) return 'Windows could take it for the short name of another file';
  return undefined;
}

/** The same for a path below folders that passed: for its last component, and its length. */
export function checkBelow(path: readonly string[]): void {
  checkExtent(path);
  checkComponent(path.at(-1) ?? '');
}

function checkExtent(path: readonly string[]): void {
  if (path.length === 0) throw unsafe('', 'a path must not be empty');
  if (path.length > MAX_PATH_DEPTH) throw unsafe(path.join('/'), `paths are limited to ${MAX_PATH_DEPTH} levels`);
  if (isLong(path)) throw unsafe(path.join('/'), `paths are limited to ${MAX_PATH_BYTES} bytes`);
}

interface Folder {
  readonly name: string;
  /** By folded name; of a file its name only. */
  readonly children: Map<string, Folder | string>;
}

/**
 * Checks the paths of all files of one share: every component, lengths, and that no two entries are the same file on
 * some system (case, Unicode forms, file against folder). Throws 'unsafe-path'.
 */
export function checkTree(paths: readonly (readonly string[])[]): void {
  atOnce(checkTreeSteps(paths));
}

/** Paths of a step: a fraction of a millisecond. */
const STEP = 256;

export function* checkTreeSteps(paths: readonly (readonly string[])[]): Steps<void> {
  const root: Folder = { name: '', children: new Map() };
  // Files that follow each other are mostly in the same folder, which need not be looked up again.
  let last: Place = { path: [], folders: [root] };
  for (let start = 0; start < paths.length; start += STEP) {
    last = addPaths(last, paths.slice(start, start + STEP));
    yield;
  }
}

/** A file, and the folders on the way to it, the root first. */
interface Place {
  readonly path: readonly string[];
  readonly folders: readonly Folder[];
}

function addPaths(from: Place, paths: readonly (readonly string[])[]): Place {
  let last = from;
  for (const path of paths) last = { path, folders: addPath(last, path) };
  return last;
}

/** The folders on the way to the file, the root first. */
function addPath(last: Place, path: readonly string[]): readonly Folder[] {
  checkExtent(path);
  const end = path.length - 1;
  let depth = 0;
  while (depth < end && depth + 1 < last.folders.length && path[depth] === last.path[depth]) depth++;
  const parent = last.folders[depth];
  // In the same folder as the last one, as most are.
  if (parent && depth === end && last.folders.length === depth + 1) {
    addEntry(parent, path[end] ?? '', true, path);
    return last.folders;
  }
  const folders = last.folders.slice(0, depth + 1);
  for (; depth <= end; depth++) {
    const parent = folders[depth];
    const name = path[depth];
    if (!parent || name === undefined) break;
    const folder = addEntry(parent, name, depth === end, path);
    if (folder) folders.push(folder);
  }
  return folders;
}

/** The folder, if it is one. */
function addEntry(parent: Folder, name: string, isFile: boolean, path: readonly string[]): Folder | undefined {
  const folded = foldName(name);
  const known = parent.children.get(folded);
  if (known === undefined) {
    checkComponent(name);
    const folder: Folder | undefined = isFile ? undefined : { name, children: new Map() };
    parent.children.set(folded, folder ?? name);
    return folder;
  }
  const folder = typeof known === 'string' ? undefined : known;
  const knownName = typeof known === 'string' ? known : known.name;
  const whole = path.join('/');
  if (knownName !== name) {
    checkComponent(name);
    throw unsafe(whole, `on some systems it is the same as “${escapeName(knownName)}” beside it`);
  }
  if (isFile) throw unsafe(whole, folder ? 'a folder has the same path' : 'another file has the same path');
  if (!folder) throw unsafe(whole, `“${escapeName(name)}” is also a file`);
  return folder;
}

/** A UTF-16 code unit becomes three bytes at most. */
function isLong(path: readonly string[]): boolean {
  let units = path.length - 1;
  for (const name of path) units += name.length;
  if (units * 3 <= MAX_PATH_BYTES) return false;
  return units > MAX_PATH_BYTES || Buffer.byteLength(path.join('/')) > MAX_PATH_BYTES;
}

/**
 * Two names with the same fold are one file on some system: full case folding as on APFS and casefolded ext4,
 * normal form C, default-ignorable characters dropped. For comparing only.
 */
export function foldName(name: string): string {
  if (ASCII.test(name)) return name.toLowerCase();
  // Lower, upper, lower is full case folding (ß and ẞ become ss), but for the dotless ı, which no file system folds.
  return name
    .normalize('NFC')
    .replaceAll(/\p{Default_Ignorable_Code_Point}/gu, '')
    .replaceAll(/[^ı]+/gu, (part) => part.toLowerCase().toUpperCase().toLowerCase())
    .normalize('NFC');
}

const ESCAPED = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;
const SHOWN = 120;

/** A name that is harmless to show in a message: invisible characters as `\u{…}`, long ones cut. */
export function escapeName(name: string): string {
  const cut = name.length > SHOWN ? `${name.slice(0, SHOWN)}…` : name;
  return cut.replaceAll(ESCAPED, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);
}

function unsafe(name: string, rule: string): PeerwireError {
  return new PeerwireError('unsafe-path', `The name “${escapeName(name)}” is refused: ${rule}.`);
}
