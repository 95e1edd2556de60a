/**
 * Turns an English message with `{0}`, `{1}`… into the user's language. `vscode.l10n.t` in the editor; passed in, so that
 * everything that only makes text runs, and is tested, without an editor.
 */
export type Translate = (message: string, ...args: (string | number)[]) => string;

export const english: Translate = (message, ...args) =>
  message.replaceAll(/\{(\d+)\}/g, (placeholder, index: string) => String(args[Number(index)] ?? placeholder));
