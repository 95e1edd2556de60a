/** True for content that editors, shells, package managers or agents execute or obey: ask before placing it. */
export function isRisky(path: readonly string[]): boolean {
  return path.includes('.vscode');
}
