import { formatBytes } from '../common/format-bytes.ts';
import { type ShareInfo, shareKey } from '../peer/api.ts';
import type { DownloadCommands } from './download-commands.ts';
import { countFiles, countSources, formatAge, formatCount } from './format.ts';
import { iconlessText } from './safe-text.ts';
import type { Services } from './services.ts';
import { searchShares } from './share-search.ts';
import { dots } from './transfer-model.ts';
import { vscode } from './vscode.ts';

/** More are not shown: the editor takes long to show thousands, and nobody reads them. */
const MOST_SHOWN = 100;

interface Found extends vscode.QuickPickItem {
  readonly share?: ShareInfo;
}

/** Asks for a few letters of a name, and downloads what is chosen. */
export function findShare({ t, state, report }: Services, downloads: DownloadCommands): void {
  const pick = vscode.window.createQuickPick<Found>();
  const elsewhere: vscode.QuickInputButton = {
    iconPath: new vscode.ThemeIcon('folder-opened'),
    tooltip: t('Download to…'),
  };
  const update = (active?: ShareInfo): void => {
    const found = searchShares(state.shares, pick.value, MOST_SHOWN + 1);
    const items = found.slice(0, MOST_SHOWN).map((share) => itemOf(share, elsewhere));
    const more = t('More than {0}: go on typing', formatCount(MOST_SHOWN));
    pick.items = found.length > MOST_SHOWN ? [...items, { label: more, alwaysShow: true }] : items;
    const still = active && items.find(({ share }) => share && shareKey(share) === shareKey(active));
    if (still) pick.activeItems = [still];
  };
  const run = (action: (args: readonly unknown[]) => Promise<void>, share: ShareInfo | undefined): void => {
    if (share === undefined) return;
    pick.hide();
    action([{ kind: 'share', share }]).catch((error: unknown) => report.error(error));
  };
  pick.title = t('Find Share');
  pick.placeholder = t('Name, member or message; Enter downloads it into the workspace');
  pick.onDidChangeValue(() => update());
  pick.onDidAccept(() => run((args) => downloads.download(args), pick.activeItems[0]?.share));
  pick.onDidTriggerItemButton(({ item }) => run((args) => downloads.downloadTo(args), item.share));
  // Whatever comes or goes meanwhile, what Enter would download stays that.
  const changes = state.onDidChange((part) => part === 'shares' && update(pick.activeItems[0]?.share));
  pick.onDidHide(() => {
    changes.dispose();
    pick.dispose();
  });
  update();
  pick.show();

  function itemOf(share: ShareInfo, button: vscode.QuickInputButton): Found {
    const about = dots(
      iconlessText(share.ownerName),
      formatBytes(share.size),
      share.kind === 'folder' && countFiles(t, share.files),
      formatAge(t, share.time, Date.now()),
      share.sources === 0 ? t('only offline sources') : countSources(t, share.sources),
    );
    return {
      label: iconlessText(share.name),
      description: about,
      ...(share.message === undefined ? {} : { detail: iconlessText(share.message) }),
      buttons: [button],
      // It was found here: the editor shall not sift again.
      alwaysShow: true,
      share,
    };
  }
}
