import { vscode } from './vscode.ts';

/** The selection of the explorer, `(clicked, all selected)`; a tab's file; else that of the active editor. */
export function uriArguments(args: readonly unknown[]): vscode.Uri[] {
  const [clicked, selected] = args;
  const all = Array.isArray(selected) ? selected.filter((item) => item instanceof vscode.Uri) : [];
  if (all.length > 0) return all;
  if (clicked instanceof vscode.Uri) return [clicked];
  const input = vscode.window.tabGroups.activeTabGroup.activeTab?.input;
  if (
    input instanceof vscode.TabInputText ||
    input instanceof vscode.TabInputCustom ||
    input instanceof vscode.TabInputNotebook
  ) {
    return [input.uri];
  }
  return [];
}
