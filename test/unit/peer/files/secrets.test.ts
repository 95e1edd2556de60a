import assert from 'node:assert/strict';
import { isRisky, RiskJudge } from '../../../../src/peer/files/risky.ts';
import { isSecretName } from '../../../../src/peer/files/secrets.ts';

describe('names of secrets', () => {
  const secret = `.env .env.local .env.production prod.env .envrc .npmrc .pypirc .netrc _netrc .pgpass .git-credentials .htpasswd
    id_rsa id_ed25519 id_ecdsa_sk id_rsa_work id_rsa.bak server.pem server.key cert.p12 store.jks app.keystore vault.kdbx putty.ppk
    credentials credentials.json CREDENTIALS.yml secrets.toml secret.yaml client_secret_123.json my-service-account.json
    service_account_key.json terraform.tfstate terraform.tfstate.backup prod.auto.tfvars terraform.tfvars .bash_history
    master.key local.settings.json vpn.ovpn .ENV Id_Rsa`;
  for (const name of secret.split(/\s+/)) it(`${name} is one`, () => assert.equal(isSecretName(name, 'file'), true));

  const harmless = `.env.example .env.local.example .env.sample .env.template .env.dist example.env id_rsa.pub id_ed25519.pub
    environment.ts env.ts env.d.ts keys.ts keyboard.key.ts pem.ts credentials.ts credentials.md secrets.md secretary.json token.ts
    package.json .gitignore tsconfig.json identity.ts id_card.png`;
  for (const name of harmless.split(/\s+/))
    it(`${name} is none`, () => assert.equal(isSecretName(name, 'file'), false));

  it('folders of keys are, files of the same name are not', () => {
    for (const name of ['.ssh', '.aws', '.gnupg', '.kube', '.SSH']) assert.equal(isSecretName(name, 'folder'), true);
    assert.equal(isSecretName('credentials', 'folder'), false);
    assert.equal(isSecretName('.ssh', 'file'), false);
  });
});

describe('risky files', () => {
  const risky = `.vscode/settings.json sub/.vscode/tasks.json .VSCode/x .devcontainer/devcontainer.json .devcontainer.json .envrc a/b/.envrc
    .git/hooks/pre-commit .git/config .git .githooks/x .husky/pre-commit repo.git/hooks/post-receive .idea/workspace.xml app.code-workspace
    .npmrc .yarnrc.yml .yarn/releases/yarn.cjs CLAUDE.md docs/AGENTS.md .claude/settings.json .cursor/mcp.json .cursorrules .mcp.json
    .vscode/mcp.json .github/copilot-instructions.md .github/workflows/ci.yml .github/prompts/x.prompt.md x.instructions.md .bashrc
    .pre-commit-config.yaml lefthook.yml .gitmodules .vimrc .dir-locals.el desktop.ini link.lnk autorun.inf`;
  for (const path of risky.split(/\s+/)) it(`${path} is one`, () => assert.equal(isRisky(path.split('/')), true));

  const plain = `src/main.ts vscode/settings.json .github/CODEOWNERS .github/ISSUE_TEMPLATE/bug.md .gitignore .gitattributes README.md
    hooks/useState.ts src/hooks/index.ts Makefile package.json build.sh .editorconfig devcontainer.md git/hooks/x agents/index.ts`;
  for (const path of plain.split(/\s+/)) it(`${path} is none`, () => assert.equal(isRisky(path.split('/')), false));

  it('are told one after another as they are told alone', () => {
    const paths =
      `${risky} ${plain} .github/x .github/skills .github/hooks/x .github/hooks/y a.git/hooks/x a.git/x hooks x`
        .split(/\s+/)
        .map((path) => path.split('/'));
    for (const first of paths) {
      const judge = new RiskJudge();
      for (const path of [first, ...paths.toReversed(), first])
        assert.equal(judge.isRisky(path), isRisky(path), path.join('/'));
    }
  });
});
