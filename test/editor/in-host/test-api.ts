import assert from 'node:assert/strict';
import * as vscode from 'vscode';
import type { DevelopmentApi } from '../../../src/extension/development-api.ts';

export function peerwireExtension(): vscode.Extension<DevelopmentApi> {
  const extension = vscode.extensions.getExtension<DevelopmentApi>('peerwire.peerwire');
  assert.ok(extension, 'Peerwire is not installed');
  return extension;
}

/** The interface for other extensions, and the peer itself: the editor of tests runs with PEERWIRE_DEVELOPMENT set. */
export async function testApi(): Promise<DevelopmentApi> {
  return peerwireExtension().activate();
}
