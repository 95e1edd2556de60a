/** What VS Code's settings say: `http.proxy`, `http.noProxy`. */
export interface ProxySettings {
  readonly proxy: string;
  readonly noProxy: readonly string[];
}

/**
 * The environment with the proxy of the settings in it, which trackers are asked through. One that names a proxy itself goes
 * before the settings, as in VS Code.
 */
export function withProxy(env: NodeJS.ProcessEnv, { proxy, noProxy }: ProxySettings): NodeJS.ProcessEnv {
  const named = ['HTTP_PROXY', 'HTTPS_PROXY'].some((name) => env[name] || env[name.toLowerCase()]);
  if (named || proxy === '') return env;
  return {
    ...env,
    HTTP_PROXY: proxy,
    HTTPS_PROXY: proxy,
    ...(noProxy.length > 0 ? { NO_PROXY: noProxy.join(',') } : {}),
  };
}
