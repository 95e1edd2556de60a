/** Where components report what they do. No keys, no secrets; file paths only at debug level. */
export interface Logger {
  debug(message: string): void;
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}

export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/** A logger that puts `[component]` before every message. */
export function prefixed(logger: Logger, component: string): Logger {
  const tag = (message: string): string => `[${component}] ${message}`;
  return {
    debug: (message) => logger.debug(tag(message)),
    info: (message) => logger.info(tag(message)),
    warn: (message) => logger.warn(tag(message)),
    error: (message) => logger.error(tag(message)),
  };
}
