import path from 'node:path';

export const PROJECT = path.resolve(import.meta.dirname, '../../..');
/** Editors and browsers that were fetched once; ignored by Git, safe to delete. */
export const CACHE = path.join(PROJECT, '.vscode-test');
/** Screenshots, logs and results of the last run; ignored by Git, safe to delete. */
export const OUTPUT = path.join(PROJECT, '.test-output');
