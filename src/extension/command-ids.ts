/** Every command of the extension. The manifest, the handlers and a test are held to this list. */
export const COMMAND_IDS = [
  'peerwire.createNetwork',
  'peerwire.joinNetwork',
  'peerwire.pasteInvite',
  'peerwire.copyInvite',
  'peerwire.leaveNetwork',
  'peerwire.revokeMember',
  'peerwire.addPeer',
  'peerwire.shareWithPeers',
  'peerwire.shareFiles',
  'peerwire.stopSharing',
  'peerwire.copyShareId',
  'peerwire.download',
  'peerwire.downloadTo',
  'peerwire.pauseTransfer',
  'peerwire.resumeTransfer',
  'peerwire.limitTransfer',
  'peerwire.prioritizeTransfer',
  'peerwire.cancelTransfer',
  'peerwire.retryTransfer',
  'peerwire.removeTransfer',
  'peerwire.verifyTransfer',
  'peerwire.stopSeeding',
  'peerwire.revealDownload',
  'peerwire.openDownload',
  'peerwire.pauseAll',
  'peerwire.resumeAll',
  'peerwire.stopAllSeeding',
  'peerwire.setUploadLimit',
  'peerwire.setDownloadLimit',
  'peerwire.hostTracker',
  'peerwire.stopTracker',
  'peerwire.diagnose',
  'peerwire.showLog',
  'peerwire.statusMenu',
  'peerwire.restartPeer',
] as const;

export type CommandId = (typeof COMMAND_IDS)[number];

/** Arguments come from the editor: a row, rows, URIs or nothing. Each handler looks at what it got. */
export type CommandHandler = (...args: unknown[]) => unknown;
