import path from 'node:path';

export interface Platform {
  readonly platform: NodeJS.Platform;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly homedir: string;
}

/** The platform's directory for state that belongs to one user on one machine. */
export function defaultHome({ platform, env, homedir }: Platform): string {
  switch (platform) {
    case 'win32':
      return path.win32.join(env.LOCALAPPDATA ?? path.win32.join(homedir, 'AppData', 'Local'), 'Peerwire');
    case 'darwin':
      return path.posix.join(homedir, 'Library', 'Application Support', 'Peerwire');
    default: {
      // XDG Base Directory Specification: a relative path is invalid and must be ignored.
      const state = env.XDG_STATE_HOME;
      const base = state?.startsWith('/') ? state : path.posix.join(homedir, '.local', 'state');
      return path.posix.join(base, 'peerwire');
    }
  }
}
