import { networkInterfaces } from 'node:os';
import type { DiagnosisLine } from '../peer/api.ts';
import { acrossRestarts } from './across-restarts.ts';
import {
  attentionFirst,
  checkName,
  diagnosisReport,
  type Fix,
  type FixCommand,
  fixesFor,
  verdict,
} from './diagnosis.ts';
import { lanAddress } from './lan-address.ts';
import { iconlessText, messageText, safeText } from './safe-text.ts';
import type { Services } from './services.ts';
import type { TreeNode } from './tree-nodes.ts';
import { vscode } from './vscode.ts';

interface FixButton extends vscode.QuickInputButton {
  readonly fix: Fix;
}

interface Item extends vscode.QuickPickItem {
  readonly line?: DiagnosisLine;
  readonly run?: () => Promise<unknown>;
  readonly buttons?: readonly FixButton[];
}

interface Outcome {
  readonly lines: readonly DiagnosisLine[];
  /** Where others add this peer by hand; undefined when it does not listen. */
  readonly address: string | undefined;
}

type Choice =
  | { readonly kind: 'closed' }
  | { readonly kind: 'again' }
  | { readonly kind: 'line'; readonly outcome: Outcome; readonly line: DiagnosisLine }
  | { readonly kind: 'run'; readonly run: () => Promise<unknown> };

/**
 * Checks the connection and lists every check with its verdict: what needs attention first, its remedies as buttons.
 * Picking a line shows all of it. Escape gives up waiting.
 */
export async function diagnoseConnection(services: Services): Promise<void> {
  for (let known: Outcome | undefined; ; ) {
    const choice = await chooseLine(services, known);
    switch (choice.kind) {
      case 'closed':
        return;
      case 'again':
        known = undefined;
        break;
      case 'run':
        await choice.run();
        return;
      case 'line':
        known = choice.outcome;
        if (await showLine(services, choice.line)) return;
        break;
    }
  }
}

/** `known`: the outcome to show again; checks when there is none. */
function chooseLine(services: Services, known: Outcome | undefined): Promise<Choice> {
  const { t } = services;
  return new Promise((resolve, reject) => {
    const list = vscode.window.createQuickPick<Item>();
    const copy: vscode.QuickInputButton = { iconPath: new vscode.ThemeIcon('copy'), tooltip: t('Copy Report') };
    const again: vscode.QuickInputButton = { iconPath: new vscode.ThemeIcon('refresh'), tooltip: t('Check Again') };
    const finish = (choice: Choice): void => {
      resolve(choice);
      list.dispose();
    };
    const fill = (outcome: Outcome): void => {
      list.busy = false;
      list.placeholder = summary(services, outcome);
      list.buttons = [copy, again];
      list.items = itemsOf(services, outcome);
      list.onDidTriggerButton((button) => {
        if (button === again) finish({ kind: 'again' });
        else finish({ kind: 'run', run: () => copyReport(services, outcome) });
      });
      list.onDidTriggerItemButton(({ item, button }) => {
        const fix = item.buttons?.find((candidate) => candidate === button)?.fix;
        if (fix !== undefined) finish({ kind: 'run', run: () => applyFix(services, fix) });
      });
      list.onDidAccept(() => {
        const [item] = list.selectedItems;
        if (item?.run !== undefined) finish({ kind: 'run', run: item.run });
        else if (item?.line !== undefined) finish({ kind: 'line', outcome, line: item.line });
      });
    };
    list.title = t('Diagnose Connection');
    list.placeholder = t('Checking the connection… Escape gives up.');
    list.ignoreFocusOut = true;
    list.matchOnDescription = true;
    list.matchOnDetail = true;
    list.busy = true;
    list.onDidHide(() => finish({ kind: 'closed' }));
    list.show();
    if (known !== undefined) {
      fill(known);
      return;
    }
    check(services).then(fill, (error: unknown) => {
      reject(error);
      list.dispose();
    });
  });
}

/** Settings are changed for what it says, and start the peer again. */
function check(services: Services): Promise<Outcome> {
  return acrossRestarts(services.api, async (api) => {
    const [lines, { port }] = [await api.diagnose(), await api.status()];
    return { lines, address: port === undefined ? undefined : `${lanAddress(networkInterfaces())}:${port}` };
  });
}

function summary({ t }: Services, { lines }: Outcome): string {
  const wrong = lines.filter((line) => !line.ok).length;
  if (wrong === 0) return t('All is well. Pick a line to read all of it.');
  return t('{0} of {1} checks need attention. Pick one to see what to do.', wrong, lines.length);
}

function itemsOf(services: Services, outcome: Outcome): Item[] {
  const { t, state } = services;
  const items: Item[] = [];
  let ok = false;
  for (const line of attentionFirst(outcome.lines)) {
    if (line.ok && !ok && items.length > 0) items.push({ label: '', kind: vscode.QuickPickItemKind.Separator });
    ok = line.ok;
    const fixes = fixesFor(line, state.networks);
    items.push({
      label: `${line.ok ? '$(pass)' : '$(error)'} ${iconlessText(checkName(line))}`,
      description: `${verdict(t, line)} – ${iconlessText(line.detail)}`,
      ...(line.fix === undefined || line.ok ? {} : { detail: t('To do: {0}', iconlessText(line.fix)) }),
      buttons: fixes.map((fix) => ({ fix, iconPath: fixIcon(fix), tooltip: fixTitle(services, fix) })),
      line,
    });
  }
  items.push(
    { label: '', kind: vscode.QuickPickItemKind.Separator },
    { label: t('$(copy) Copy Report'), run: () => copyReport(services, outcome) },
    { label: t('$(plug) Add Peer by Address…'), run: () => runCommand('peerwire.addPeer') },
  );
  if (outcome.address !== undefined) {
    const { address } = outcome;
    const description = t('{0}, for those who add you by hand', address);
    items.push({ label: t('$(link) Copy Your Address'), description, run: () => copyText(services, address) });
  }
  return items;
}

/** The whole text, which a row cuts off. True when something was done about it; otherwise the list is shown again. */
async function showLine(services: Services, line: DiagnosisLine): Promise<boolean> {
  const { t, state } = services;
  const fixes = fixesFor(line, state.networks).map((fix) => ({ title: fixTitle(services, fix), fix }));
  const text = [safeText(line.detail), line.fix !== undefined && t('To do: {0}', safeText(line.fix))].filter(Boolean);
  const copy = { title: t('Copy'), fix: undefined };
  const title = `${messageText(checkName(line))}: ${verdict(t, line)}`;
  const options = { modal: true, detail: text.join('\n\n') };
  const show = line.ok ? vscode.window.showInformationMessage : vscode.window.showWarningMessage;
  const chosen = await show<{ title: string; fix: Fix | undefined }>(title, options, ...fixes, copy);
  if (chosen === undefined) return false;
  if (chosen.fix === undefined) await copyText(services, [title, ...text].join('\n'));
  else await applyFix(services, chosen.fix);
  return true;
}

async function copyReport(services: Services, { lines, address }: Outcome): Promise<void> {
  const { t } = services;
  const facts = [
    new Date().toISOString(),
    `${vscode.env.appName} ${vscode.version}, ${process.platform} ${process.arch}`,
    ...(address === undefined ? [] : [t('Address: {0}', address)]),
  ];
  await copyText(services, diagnosisReport(t, lines, facts));
}

async function copyText({ report, t }: Services, text: string): Promise<void> {
  await vscode.env.clipboard.writeText(text);
  report.done(t('Copied'));
}

function fixTitle({ t }: Services, fix: Fix): string {
  switch (fix.kind) {
    case 'copy':
      return t('Copy Terminal Command');
    case 'setting':
      return t('Open Setting');
    case 'command':
      return commandTitle(t, fix.command);
  }
}

function commandTitle(t: Services['t'], command: FixCommand): string {
  switch (command) {
    case 'peerwire.createNetwork':
      return t('Create a Network');
    case 'peerwire.joinNetwork':
      return t('Join with an Invite');
    case 'peerwire.manageTrackers':
      return t('Add Tracker…');
    case 'peerwire.addPeer':
      return t('Add Peer by Address…');
    case 'peerwire.invite':
      return t('Invite…');
    case 'peerwire.leaveNetwork':
      return t('Leave Network…');
  }
}

function fixIcon(fix: Fix): vscode.ThemeIcon {
  switch (fix.kind) {
    case 'copy':
      return new vscode.ThemeIcon('terminal');
    case 'setting':
      return new vscode.ThemeIcon('settings-gear');
    case 'command':
      return new vscode.ThemeIcon(COMMAND_ICONS[fix.command]);
  }
}

const COMMAND_ICONS: Record<FixCommand, string> = {
  'peerwire.createNetwork': 'add',
  'peerwire.joinNetwork': 'link-external',
  'peerwire.manageTrackers': 'server',
  'peerwire.addPeer': 'plug',
  'peerwire.invite': 'person-add',
  'peerwire.leaveNetwork': 'sign-out',
};

async function applyFix(services: Services, fix: Fix): Promise<void> {
  switch (fix.kind) {
    case 'copy':
      return copyText(services, fix.text);
    case 'setting':
      await vscode.commands.executeCommand('workbench.action.openSettings', fix.setting);
      return;
    case 'command':
      return runCommand(fix.command, fix.network && { kind: 'hint', hint: 'invite', network: fix.network });
  }
}

async function runCommand(id: string, row?: TreeNode): Promise<void> {
  await vscode.commands.executeCommand(id, ...(row === undefined ? [] : [row]));
}
