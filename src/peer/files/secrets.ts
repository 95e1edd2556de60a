const EXACT = new Set([
  '.boto',
  '.dockercfg',
  '.envrc',
  '.git-credentials',
  '.htpasswd',
  '.my.cnf',
  '.mylogin.cnf',
  '.netrc',
  '_netrc',
  '.npmrc',
  '.passwd-s3fs',
  '.pgpass',
  '.pypirc',
  '.s3cfg',
  '.secrets',
  '.terraformrc',
  '.vault-token',
  'application_default_credentials.json',
  'credentials',
  'kubeconfig',
  'local.settings.json',
  'master.key',
  'rclone.conf',
  'secring.gpg',
  'secrets',
  'terraform.rc',
  'terraform.tfvars',
]);

/** Folders that hold keys and tokens of their tools. */
const FOLDERS = new Set(['.aws', '.azure', '.gnupg', '.kube', '.ssh']);

const PATTERNS = anyOf([
  /^\.env(\..+)?$/,
  /^.+\.env$/,
  /^id_(rsa|dsa|ecdsa|ed25519|xmss)/,
  /\.(pem|key|p12|pfx|p8|pkcs12|jks|keystore|kdbx?|ppk|ovpn|tfstate|tfstate\.backup)$/,
  /^\.\w+_history$/,
  /^(credentials?|secrets?)\.(json|ya?ml|toml|ini|xml|csv|txt|properties|env|cfg|conf)$/,
  /^client_secret.*\.json$/,
  /service[-_]?account.*\.json$/,
  /\.auto\.tfvars(\.json)?$/,
]);

/** Samples without the values, and public halves of keys. */
const HARMLESS = /[._-](example|sample|template|dist|defaults?|schema)(\.|$)|^(example|sample|template)\.env$|\.pub$/;

/** True when a file or folder of this name usually holds passwords, keys or tokens. Judged by name alone. */
export function isSecretName(name: string, kind: 'file' | 'folder'): boolean {
  const lower = name.toLowerCase();
  if (kind === 'folder') return FOLDERS.has(lower);
  if (HARMLESS.test(lower)) return false;
  return EXACT.has(lower) || PATTERNS.test(lower);
}

/** One look at each of many names in place of several. */
function anyOf(patterns: readonly RegExp[]): RegExp {
  return new RegExp(patterns.map(({ source }) => `(?:${source})`).join('|'));
}
