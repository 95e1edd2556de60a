import { escapeName } from '../../bittorrent/safe-path.ts';
import { errorCode, errorMessage, PeerwireError, systemCode } from '../../common/errors.ts';

/** What happened to a file and what to do, in one sentence, with the code that callers branch on. */
export function fileError(error: unknown, action: 'read' | 'write' | 'place', path: string): PeerwireError {
  if (error instanceof PeerwireError) return error;
  const code = errorCode(error);
  return new PeerwireError(code === 'internal' ? 'io' : code, sentence(error, action, `“${escapePath(path)}”`), {
    cause: error,
  });
}

function sentence(error: unknown, action: string, file: string): string {
  switch (systemCode(error)) {
    case 'ENOSPC':
      return `The disk is full: ${file} could not be written; free some space and resume.`;
    case 'EDQUOT':
      return `Your disk quota is used up: ${file} could not be written; free some space and resume.`;
    case 'EROFS':
      return `The disk that holds ${file} is read-only; choose another folder.`;
    case 'EACCES':
    case 'EPERM':
      return `You are not permitted to ${action} ${file}; change its permissions or choose another one.`;
    case 'EBUSY':
    case 'ETXTBSY':
      return `Another program is using ${file}; close it there and try again.`;
    case 'EEXIST':
    case 'ENOTDIR':
      return `A file is in the way of ${file}; move it or choose another folder.`;
    case 'ENOENT':
      return `${file} does not exist.`;
    case 'EMFILE':
    case 'ENFILE':
      return `Too many files are open to ${action} ${file}; close some programs and try again.`;
    case 'ENAMETOOLONG':
      return `The path ${file} is too long for this system; choose a folder with a shorter path.`;
    default:
      return `${file} could not be ${action === 'read' ? 'read' : 'written'}: ${errorMessage(error)}`;
  }
}

function escapePath(path: string): string {
  return path
    .split('/')
    .map((name) => escapeName(name))
    .join('/');
}
