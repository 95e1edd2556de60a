import assert from 'node:assert/strict';
import * as vscode from 'vscode';

describe('the extension in its host', () => {
  it('is installed from the package', () => {
    assert.ok(vscode.extensions.getExtension('peerwire.stub'));
  });
});
